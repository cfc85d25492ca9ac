//! The suite's resources.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceTemplate};
use serde_json::json;

use super::content::PNG;
use super::{Fixtures, complete, typed};

impl Fixtures {
    /// The resources, in the order of `resources/list`.
    pub fn resources(&self) -> Result<Vec<Resource>, ErrorData> {
        typed(json!([
            {"uri": "test://static-text", "name": "static-text", "description": "A text", "mimeType": "text/plain"},
            {"uri": "test://static-binary", "name": "static-binary", "description": "An image", "mimeType": "image/png"},
            {"uri": "test://watched-resource", "name": "watched", "description": "To subscribe to", "mimeType": "text/plain"}
        ]))
    }

    /// The templates, in the order of `resources/templates/list`.
    pub fn resource_templates(&self) -> Result<Vec<ResourceTemplate>, ErrorData> {
        typed(json!([{
            "uriTemplate": "test://template/{id}/data",
            "name": "template",
            "description": "A document by id",
            "mimeType": "application/json"
        }]))
    }

    /// Answers `resources/read`, or nothing if the resource is not a fixture.
    #[must_use]
    pub fn read_resource(&self, uri: &str) -> Option<Result<ReadResourceResult, ErrorData>> {
        let contents = match uri {
            "test://static-text" => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
            "test://watched-resource" => json!({"uri": uri, "mimeType": "text/plain", "text": "Watched."}),
            _ => {
                let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
                let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string();
                json!({"uri": uri, "mimeType": "application/json", "text": text})
            }
        };
        Some(complete(json!({"contents": [contents]})))
    }
}
