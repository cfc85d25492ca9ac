//! A call as a question to Cedar. What does not depend on the call is made once, when the catalogue is known.
//!
//! Invariant: only facts that the authenticator and the log vouch for become attributes; nothing that a client says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema};

use super::schema::{groups, risk_name, schema};
use crate::core::principal::{Principal, Side};
use crate::core::resource::{Attribute, NOUNS, Resource};
use crate::core::scope::ScopeSet;
use crate::core::tool::ToolSpec;

/// A call, as far as a policy may look at it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// Scopes of the key.
    pub scopes: &'a ScopeSet,
    /// The key only reads.
    pub read_only: bool,
    /// Which tool.
    pub tool: &'a ToolSpec,
    /// What it is about, if something is named.
    pub resource: Option<&'a Resource>,
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The words of a catalogue: its schema, and what each question about a tool has in common.
pub(super) struct Vocabulary {
    pub schema: Schema,
    tools: BTreeMap<&'static str, Word>,
    account: EntityTypeName,
    user: EntityTypeName,
    credential: EntityTypeName,
    /// Of each noun, by its name.
    nouns: BTreeMap<&'static str, EntityTypeName>,
    log: EntityUid,
}

struct Word {
    facts: &'static ToolSpec,
    action: EntityUid,
    entities: Vec<Entity>,
}

impl Vocabulary {
    pub fn new(tools: &[&'static ToolSpec]) -> Result<Self, Fault> {
        let action_type: EntityTypeName = "Forelog::Action".parse()?;
        let log_type: EntityTypeName = "Forelog::Log".parse()?;
        let words = tools.iter().map(|facts| (facts.name, Word::new(facts, &action_type)));
        let mut nouns = BTreeMap::new();
        for noun in NOUNS {
            nouns.insert(noun.name, format!("Forelog::{}", noun.entity).parse()?);
        }
        Ok(Self {
            schema: Schema::from_str(&schema(tools))?,
            tools: words.collect(),
            account: "Forelog::Account".parse()?,
            user: "Forelog::User".parse()?,
            credential: "Forelog::Credential".parse()?,
            nouns,
            log: uid(&log_type, "log"),
        })
    }

    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.tools.values().map(|word| word.facts.name)
    }

    pub fn tool(&self, name: &str) -> Option<&'static ToolSpec> {
        self.tools.get(name).map(|word| word.facts)
    }

    /// The question and the entities it is about; an error if the tool is not in the catalogue.
    pub fn ask(&self, query: &Query<'_>) -> Result<(Request, Entities), Fault> {
        let word = self.tools.get(query.tool.name).ok_or("the tool is not in the catalogue")?;
        let who = query.principal;
        let account = uid(&self.account, who.account.as_str());
        let credential = uid(&self.credential, who.credential.as_str());
        let mut entities = word.entities.clone();
        entities.push(Entity::new_no_attrs(account.clone(), HashSet::new()));
        entities.push(self.credential_entity(query, &credential, &account)?);
        let resource = match query.resource {
            Some(row) => {
                let owner = uid(&self.account, row.account.as_str());
                if owner != account {
                    entities.push(Entity::new_no_attrs(owner.clone(), HashSet::new()));
                }
                let noun = self.nouns.get(row.id.noun().name).ok_or("the noun is not in the schema")?;
                let resource = uid(noun, row.id.as_str());
                entities.push(entity(row, &resource, owner)?);
                resource
            }
            None if who.side == Side::Staff => {
                entities.push(Entity::new_no_attrs(self.log.clone(), HashSet::new()));
                self.log.clone()
            }
            None => account,
        };
        let request = Request::new(credential, word.action.clone(), resource, context(query)?, None)?;
        Ok((request, Entities::from_entities(entities, None)?))
    }

    fn credential_entity(&self, query: &Query<'_>, credential: &EntityUid, account: &EntityUid) -> Result<Entity, Fault> {
        let who = query.principal;
        let side = if who.side == Side::Staff { "staff" } else { "customer" };
        let attributes = HashMap::from([
            ("account".to_owned(), RestrictedExpression::new_entity_uid(account.clone())),
            ("user".to_owned(), RestrictedExpression::new_entity_uid(uid(&self.user, who.user.as_str()))),
            ("side".to_owned(), text(side)),
            ("scopes".to_owned(), RestrictedExpression::new_set(query.scopes.iter().map(|scope| text(scope.as_str())))),
            ("read_only".to_owned(), RestrictedExpression::new_bool(query.read_only || who.read_only)),
        ]);
        Ok(Entity::new(credential.clone(), attributes, HashSet::from([account.clone()]))?)
    }
}

impl Word {
    fn new(facts: &'static ToolSpec, action_type: &EntityTypeName) -> Self {
        let groups: HashSet<EntityUid> = groups(facts).iter().map(|group| uid(action_type, group)).collect();
        let action = uid(action_type, facts.name);
        let mut entities: Vec<Entity> = groups.iter().map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())).collect();
        entities.push(Entity::new_no_attrs(action.clone(), groups));
        Self { facts, action, entities }
    }
}

fn entity(row: &Resource, id: &EntityUid, owner: EntityUid) -> Result<Entity, Fault> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(value) => text(value),
        Attribute::Flag(value) => RestrictedExpression::new_bool(*value),
    };
    let attributes: HashMap<String, RestrictedExpression> =
        row.attributes.iter().map(|(name, attribute)| ((*name).to_owned(), value(attribute))).collect();
    Ok(Entity::new(id.clone(), attributes, HashSet::from([owner]))?)
}

fn context(query: &Query<'_>) -> Result<Context, Fault> {
    let mut pairs = vec![
        ("via".to_owned(), text(query.principal.via.as_str())),
        ("tool".to_owned(), text(query.tool.name)),
        ("class".to_owned(), text(query.tool.class.as_str())),
        ("risk".to_owned(), text(risk_name(query.tool.risk))),
    ];
    if let Some(ip) = query.principal.ip {
        pairs.push(("ip".to_owned(), RestrictedExpression::new_ip(ip.to_string())));
    }
    Ok(Context::from_pairs(pairs)?)
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}
