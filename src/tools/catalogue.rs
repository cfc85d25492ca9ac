//! The catalogue: every operation by its name, with the checks of what it takes and answers.
//!
//! INVARIANT: what passes [`Catalogue::read`] is what guard and handler get; nothing is found wrong with its form after that.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::declare::Arguments;
use super::tool::{CatalogueError, Tool};
use super::{normalize, schema, text_check};
use crate::core::code::Code;
use crate::core::job::Run;
use crate::core::noun::Subject;
use crate::core::refusal::Refusal;
use crate::core::resource::NOUNS;

/// The whole catalogue, by name.
pub struct Catalogue {
    tools: BTreeMap<&'static str, Tool>,
    validators: BTreeMap<&'static str, jsonschema::Validator>,
    subjects: BTreeMap<&'static str, Vec<Subject>>,
    /// Of results, made when they are first needed: they are checked in builds for development and in tests.
    results: BTreeMap<&'static str, OnceLock<Option<jsonschema::Validator>>>,
}

impl Catalogue {
    /// A catalogue of these tools.
    pub fn new(tools: Vec<Tool>) -> Result<Self, CatalogueError> {
        let mut validators = BTreeMap::new();
        for tool in &tools {
            let name = tool.facts.name;
            let validator = jsonschema::validator_for(&tool.input).map_err(|error| CatalogueError(name, error.to_string()))?;
            validators.insert(name, validator);
        }
        let results = tools.iter().map(|tool| (tool.facts.name, OnceLock::new())).collect();
        let subjects = tools.iter().map(|tool| (tool.facts.name, subjects(tool))).collect();
        Ok(Self { tools: tools.into_iter().map(|tool| (tool.facts.name, tool)).collect(), validators, subjects, results })
    }

    /// What of a result its tool does not declare.
    #[must_use]
    pub fn undeclared(&self, tool: &Tool, result: &Value) -> Option<Refusal> {
        let checks = self.results.get(tool.facts.name)?;
        let checks = checks.get_or_init(|| jsonschema::validator_for(&tool.result).ok()).as_ref()?;
        let faults = schema::invalid(checks, result)?.details;
        let text = format!("{} answers what it does not declare: {faults}", tool.facts.name);
        Some(Refusal::new(Code::InternalError, text).details(faults))
    }

    /// The arguments of a tool that name resources: those that nouns claim wherever they stand, and what its facts say besides.
    #[must_use]
    pub fn subjects(&self, tool: &Tool) -> &[Subject] {
        self.subjects.get(tool.facts.name).map(Vec::as_slice).unwrap_or_default()
    }

    /// A tool by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every tool, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// The names that calls may have on record.
    #[must_use]
    pub fn names_on_record(&self) -> Vec<&'static str> {
        Run::names_on_record(self.tools.values().map(|tool| tool.facts))
    }

    /// `args` in the one form that everything goes by from here on: whole numbers as such, and nothing that is null in place of
    /// being absent.
    #[must_use]
    pub fn plain(&self, tool: &str, mut args: Value) -> Value {
        if let Some(tool) = self.tools.get(tool) {
            normalize::normalize(&tool.input, &mut args);
        }
        args
    }

    /// `args` as the guard and the handler get them; else what is wrong with them, as a refusal that names paths and rules but no
    /// values. Nothing is found wrong with their form after this.
    pub fn read(&self, tool: &Tool, args: &Value) -> Result<Arguments, Refusal> {
        let validator = self.validators.get(tool.facts.name);
        let faults = validator.and_then(|validator| schema::invalid(validator, args)).or_else(|| text_check::nul_in(args));
        let read = faults.map_or_else(|| tool.handler.read(args).map_err(|path| schema::invalid_row(&tool.input, &path)), Err);
        read.map_err(|mut refusal| {
            if let Some(meant) = schema::meant(&tool.input, args) {
                refusal.message = format!("{} {meant}", refusal.message);
            }
            let known: Vec<&String> =
                tool.input["properties"].as_object().map(|fields| fields.keys().collect()).unwrap_or_default();
            if let Some(details) = refusal.details.as_object_mut() {
                details.insert("arguments".to_owned(), serde_json::json!(known));
            }
            if refusal.has_own_hint() || known.is_empty() {
                return refusal;
            }
            let names: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            refusal.hint(format!("It takes {}.", names.join(", ")))
        })
    }
}

/// See [`Catalogue::subjects`].
fn subjects(tool: &Tool) -> Vec<Subject> {
    let takes = |argument: &str| !tool.input["properties"][argument].is_null();
    let claimed = NOUNS.into_iter().map(|noun| Subject { noun, argument: noun.argument });
    claimed.chain(tool.facts.also_about.iter().copied()).filter(|subject| takes(subject.argument)).collect()
}
