//! The suite's prompts.

use rmcp::ErrorData;
use rmcp::model::{GetPromptRequestParams, GetPromptResponse, Prompt};
use serde_json::{Value, json};

use super::content::{image, resource};
use super::{Fixtures, complete, rounds, typed};

impl Fixtures {
    /// The prompts, in the order of `prompts/list`.
    pub fn prompts(&self) -> Result<Vec<Prompt>, ErrorData> {
        let required = |name: &str| json!({"name": name, "description": name, "required": true});
        typed(json!([
            {"name": "test_simple_prompt", "description": "A prompt without arguments"},
            {
                "name": "test_prompt_with_arguments",
                "description": "A prompt with two arguments",
                "arguments": [required("arg1"), required("arg2")]
            },
            {
                "name": "test_prompt_with_embedded_resource",
                "description": "A prompt that embeds a resource",
                "arguments": [required("resourceUri")]
            },
            {"name": "test_prompt_with_image", "description": "A prompt with an image"},
            {"name": "test_input_required_result_prompt", "description": "A prompt that asks for input first"}
        ]))
    }

    /// Answers `prompts/get`, or nothing if the prompt is not a fixture.
    #[must_use]
    pub fn get_prompt(&self, request: &GetPromptRequestParams) -> Option<Result<GetPromptResponse, ErrorData>> {
        let argument =
            |name: &str| request.arguments.as_ref().and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default();
        let contents = match request.name.as_str() {
            "test_simple_prompt" => vec![said("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                vec![said(&format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))]
            }
            "test_prompt_with_embedded_resource" => vec![
                resource(argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
                said("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![image(), said("Please analyze the image above.")],
            "test_input_required_result_prompt" => match rounds::prompt_context(request.input_responses.as_ref()) {
                Ok(context) => vec![said(&format!("Context: {context}"))],
                Err(question) => return Some(question.map(Into::into)),
            },
            _ => return None,
        };
        let messages: Vec<_> = contents.into_iter().map(|content| json!({"role": "user", "content": content})).collect();
        Some(complete(json!({"messages": messages})).map(GetPromptResponse::Complete))
    }
}

fn said(text: &str) -> Value {
    json!({"type": "text", "text": text})
}
