//! Serialises byte slices. Deserialised bytes are borrowed if the format stores them
//! verbatim (postcard) and owned otherwise (JSON).

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
    from: D,
) -> Result<Cow<'a, [u8]>, D::Error> {
    from.deserialize_bytes(Bytes)
}

struct Bytes;

/// Upper bound on the capacity reserved from a length that the input merely claims.
const MAX_RESERVED: usize = 4096;

impl<'de> Visitor<'de> for Bytes {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let n_bytes = seq.size_hint().unwrap_or(0).min(MAX_RESERVED);
        let mut bytes = Vec::with_capacity(n_bytes);
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, Error, U32Deserializer};
    use serde::forward_to_deserialize_any;

    use super::*;

    /// A format that has decoded the bytes into a buffer, as text formats with base64 do.
    struct Decoded(Vec<u8>);

    impl<'de> Deserializer<'de> for Decoded {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_byte_buf(self.0)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn bytes_are_taken_in_every_form_that_a_format_has() {
        let bytes = &[7, 0, 255];
        let borrowed = deserialize(BorrowedBytesDeserializer::<Error>::new(bytes));
        assert!(matches!(borrowed, Ok(Cow::Borrowed(it)) if it == bytes));
        for owned in [
            deserialize(BytesDeserializer::<Error>::new(bytes)),
            deserialize(Decoded(bytes.to_vec())),
        ] {
            assert!(matches!(owned, Ok(Cow::Owned(it)) if it == bytes));
        }
        let number = deserialize(U32Deserializer::<Error>::new(7));
        let error = number.expect_err("not bytes").to_string();
        assert_eq!(error, "invalid type: integer `7`, expected bytes");
    }
}
