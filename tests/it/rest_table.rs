//! The table of docs/rest.md: every page and form of the console has its operation over REST, and every operation it names is
//! there. A new page without a row fails here.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use syn::visit::{self, Visit};

use crate::harness::{TestApp, send};

const TABLE: &str = include_str!("../../docs/rest.md");
const ROUTES: &str = include_str!("../../src/http/console/mod.rs");

/// What has no operation may only be about a person in front of a browser.
const OF_A_BROWSER: [&str; 10] = [
    "/sign-in",
    "/sign-out",
    "/welcome/",
    "/account/password",
    "/account/identities/",
    "/theme",
    "/zone",
    "/reason",
    "/connect",
    "/assets/",
];

/// The routes of the console's router, as `METHOD /path`.
#[derive(Default)]
struct Routes(BTreeSet<String>);

impl<'ast> Visit<'ast> for Routes {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        visit::visit_expr_method_call(self, call);
        let mut arguments = call.args.iter();
        let (Some(syn::Expr::Lit(path)), Some(handlers)) = (arguments.next(), arguments.next()) else { return };
        let (syn::Lit::Str(path), "route") = (&path.lit, call.method.to_string().as_str()) else { return };
        self.0.extend(methods(handlers).into_iter().map(|method| format!("{method} {}", path.value())));
    }
}

/// The methods of `get(a).post(b)`.
fn methods(handlers: &syn::Expr) -> Vec<String> {
    match handlers {
        syn::Expr::MethodCall(chained) => {
            let own = chained.method.to_string().to_uppercase();
            methods(&chained.receiver).into_iter().chain([own]).collect()
        }
        syn::Expr::Call(first) => match &*first.func {
            syn::Expr::Path(name) => {
                name.path.segments.last().map(|name| name.ident.to_string().to_uppercase()).into_iter().collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The routes below `/console/`: what is around them (`/`, and the nest) is not a page.
fn routes() -> BTreeSet<String> {
    let file = syn::parse_file(ROUTES).expect("Rust");
    let pages = file.items.iter().find_map(|item| match item {
        syn::Item::Fn(item) if item.sig.ident == "router" => item.block.stmts.first(),
        _ => None,
    });
    let mut routes = Routes::default();
    routes.visit_stmt(pages.expect("the router's pages"));
    routes.0
}

/// The texts in backquotes of one cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// What the table says: the operations of each page and form.
fn rows() -> BTreeMap<&'static str, Vec<&'static str>> {
    let cells = TABLE.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').collect::<Vec<_>>());
    let rows = cells.map(|cells| (quoted(cells[1])[0], quoted(cells[2])));
    // Another table is about what no page does.
    let rows: Vec<_> = rows.filter(|(page, _)| page.starts_with("GET ") || page.starts_with("POST ")).collect();
    let operations = |row: Vec<&'static str>| row.into_iter().filter(|text| text.contains(" /api/v1/")).collect();
    let count = rows.len();
    let table: BTreeMap<_, _> = rows.into_iter().map(|(page, row)| (page, operations(row))).collect();
    assert_eq!(table.len(), count, "a page is in the table twice");
    table
}

#[tokio::test]
async fn rest_does_whatever_a_page_does() {
    let (routes, table) = (routes(), rows());
    assert!(routes.len() > 50 && routes.contains("POST /people"), "the router was not read: {routes:?}");
    let listed: BTreeSet<String> = table.keys().map(|page| (*page).to_owned()).collect();
    let missing: Vec<_> = routes.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/rest.md has no row for {missing:?}: name the operation, or why there is none");
    let gone: Vec<_> = listed.difference(&routes).collect();
    assert!(gone.is_empty(), "docs/rest.md has rows for what the console has not: {gone:?}");
    let app = TestApp::start().await;
    let document = send(app.bare(Method::GET, "/api/v1/openapi.json")).await.json();
    for (page, operations) in table {
        let path = page.split_once(' ').expect("a method and a path").1;
        let is_of_a_browser = OF_A_BROWSER.iter().any(|start| path.starts_with(start));
        assert_eq!(operations.is_empty(), is_of_a_browser, "{page}: {operations:?}");
        for operation in operations {
            let (method, path) = operation.split_once(' ').expect("a method and a path");
            let described = &document["paths"][path][method.to_lowercase()];
            // The plant has few tools; the whole catalogue is described the same way (`rest_describes_itself_…`).
            let is_tool = path.strip_prefix("/api/v1/tools/").is_some_and(|tool| {
                forelog::tools::every_tool().expect("well-formed tools").iter().any(|known| known.facts.name == tool)
                    && method == "POST"
            });
            assert!(described.is_object() || is_tool, "{page}: there is no {operation}");
        }
    }
}

#[test]
fn rest_a_page_without_a_row_is_found() {
    let planted = syn::parse_str::<syn::Stmt>("let pages = Router::new().route(\"/new\", get(a::b).post(a::c));").expect("Rust");
    let mut routes = Routes::default();
    routes.visit_stmt(&planted);
    assert_eq!(routes.0.into_iter().collect::<Vec<_>>(), ["GET /new", "POST /new"]);
}
