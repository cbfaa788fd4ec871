//! Builds artifacts from modules, and rewrites modules. Without the feature `parse`, each call
//! returns an error.

#[cfg(feature = "parse")]
mod with_parser {
    use wasm_meminit::analysis::Plan;
    use wasm_meminit::image_builder::rewrite::{self, RewriteError};
    use wasm_meminit::{Module, Policy};

    use crate::error::Error;
    use crate::types::Status;

    fn parse(wasm: &[u8]) -> Result<Module<'_>, Error> {
        Module::parse(wasm).map_err(|err| Error::new(Status::Malformed, err))
    }

    pub(crate) fn build(wasm: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(wasm_meminit::build(&parse(wasm)?, &Policy::default())?)
    }

    pub(crate) fn strip(wasm: &[u8]) -> Result<Vec<u8>, Error> {
        let module = parse(wasm)?;
        let plan = Plan::new(&module, &Policy::default());
        Ok(rewrite::strip(&module, &plan)?)
    }

    pub(crate) fn externalize(wasm: &[u8], import_module: &str) -> Result<Vec<u8>, Error> {
        let name = |memory: wasm_meminit::apply::MemoryIndex| format!("memory{}", memory.as_u32());
        Ok(rewrite::externalize(&parse(wasm)?, import_module, &name)?)
    }

    impl From<RewriteError> for Error {
        fn from(err: RewriteError) -> Self {
            Self::new(Status::Malformed, err)
        }
    }
}

#[cfg(not(feature = "parse"))]
mod without_parser {
    use crate::error::Error;
    use crate::types::Status;

    fn unsupported() -> Error {
        Error::new(
            Status::Unsupported,
            "this build of the library contains no wasm parser\n\
             hint: build it with the feature `parse`, or use the tool `wasm-meminit build`",
        )
    }

    pub(crate) fn build(_wasm: &[u8]) -> Result<Vec<u8>, Error> {
        Err(unsupported())
    }

    pub(crate) fn strip(_wasm: &[u8]) -> Result<Vec<u8>, Error> {
        Err(unsupported())
    }

    pub(crate) fn externalize(_wasm: &[u8], _import_module: &str) -> Result<Vec<u8>, Error> {
        Err(unsupported())
    }
}

#[cfg(feature = "parse")]
pub(crate) use with_parser::{build, externalize, strip};
#[cfg(not(feature = "parse"))]
pub(crate) use without_parser::{build, externalize, strip};

#[cfg(all(test, not(feature = "parse")))]
mod tests {
    use crate::error::call;
    use crate::types::Status;

    #[test]
    fn without_a_parser_each_call_says_so() {
        assert_eq!(call(|| super::build(&[])), Err(Status::Unsupported));
        assert_eq!(call(|| super::strip(&[])), Err(Status::Unsupported));
        assert_eq!(
            call(|| super::externalize(&[], "")),
            Err(Status::Unsupported)
        );
    }
}
