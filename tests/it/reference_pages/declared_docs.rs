//! What the source says of its types: the documentation and the fields of each variant of an enum, and of a struct.

use syn::spanned::Spanned;
use syn::{Attribute, Expr, Field, Fields, File, Item, Lit, Meta};

/// A named thing that is documented.
pub struct Documented {
    pub name: String,
    /// Its documentation in one line, without the brackets of links.
    pub about: String,
    pub fields: Vec<Part>,
}

/// A field.
pub struct Part {
    pub name: String,
    pub about: String,
    /// Its type as it is written.
    pub kind: String,
    /// It may be left out.
    pub optional: bool,
}

pub fn parse(text: &str) -> File {
    syn::parse_file(text).expect("a Rust file")
}

pub fn variants(file: &File, name: &str) -> Vec<Documented> {
    let found = file.items.iter().find_map(|item| match item {
        Item::Enum(found) if found.ident == name => Some(found),
        _ => None,
    });
    let of = |variant: &syn::Variant| Documented {
        name: variant.ident.to_string(),
        about: about(&variant.attrs),
        fields: parts(&variant.fields),
    };
    found.expect(name).variants.iter().map(of).collect()
}

pub fn structure(file: &File, name: &str) -> Option<Documented> {
    let found = file.items.iter().find_map(|item| match item {
        Item::Struct(found) if found.ident == name => Some(found),
        _ => None,
    })?;
    Some(Documented { name: name.to_owned(), about: about(&found.attrs), fields: parts(&found.fields) })
}

/// Fields by name, or the one type that a variant holds.
fn parts(fields: &Fields) -> Vec<Part> {
    fields.iter().map(part).collect()
}

fn part(field: &Field) -> Part {
    let kind = field.ty.span().source_text().unwrap_or_default().replace(' ', "");
    let optional = kind.starts_with("Option<") || field.attrs.iter().any(|attribute| attribute.path().is_ident("serde"));
    Part { name: field.ident.as_ref().map(ToString::to_string).unwrap_or_default(), about: about(&field.attrs), kind, optional }
}

fn about(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(text) => match &text.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let text = lines.collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`").replace("EventKind::", "");
    // Where something is made is the source's business.
    match text.split_once(" (`crate::") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => text,
    }
}
