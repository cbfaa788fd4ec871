//! Enums that are internally tagged in human-readable formats, as `inspect --json` prints
//! them, and externally tagged in compact formats, which cannot look ahead for a tag.

/// Defines an enum with both forms: `#[serde(tag = "reason")]` for human-readable formats,
/// serde's default for the others.
macro_rules! tagged {
    (
        $name_text:literal
        $(#[$meta:meta])*
        pub enum $name:ident { $($body:tt)* }
    ) => {
        $(#[$meta])*
        pub enum $name { $($body)* }

        #[cfg(feature = "serde")]
        const _: () = {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            #[derive(Serialize, Deserialize)]
            #[serde(remote = $name_text, tag = "reason", rename_all = "snake_case")]
            enum Readable { $($body)* }

            #[derive(Serialize, Deserialize)]
            #[serde(remote = $name_text)]
            enum Compact { $($body)* }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    if to.is_human_readable() {
                        Readable::serialize(self, to)
                    } else {
                        Compact::serialize(self, to)
                    }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    if from.is_human_readable() {
                        Readable::deserialize(from)
                    } else {
                        Compact::deserialize(from)
                    }
                }
            }
        };
    };
}

pub(crate) use tagged;
