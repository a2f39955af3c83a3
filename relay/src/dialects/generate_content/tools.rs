//! Tools and whether they must be called.
//!
//! Source: `Tool`, `FunctionDeclaration` and `ToolConfig` of google.ai.generativelanguage.v1beta. A tool that the provider
//! runs itself is one of Google's own. A tool that takes text becomes a function with the one argument `input`.

use serde_json::{Map, Value, json};

use super::family::Family;
use super::schema;
use crate::dialects::common::Fields;
use crate::dialects::custom;
use crate::model::{Opaque, Prompt, Tool, ToolChoice};
use crate::{Dialect, InvalidRequest};

/// The tools of a request.
///
/// # Errors
/// One is malformed.
pub(super) fn read(tools: Vec<Value>) -> Result<Vec<Tool>, InvalidRequest> {
    let mut read = vec![];
    for (at, tool) in tools.into_iter().enumerate() {
        let mut fields = Fields::of(tool, format!("tools[{at}]"))?;
        let place = fields.place("functionDeclarations");
        let functions = fields.take::<Vec<Value>>("functionDeclarations")?.unwrap_or_default();
        for (at, function) in functions.into_iter().enumerate() {
            read.push(declaration(Fields::of(function, format!("{place}[{at}]"))?)?);
        }
        read.extend(fields.rest().into_iter().map(|(name, options)| {
            Tool::Other(Opaque { dialect: Dialect::GenerateContent, value: json!({ name: options }) })
        }));
    }
    Ok(read)
}

fn declaration(mut function: Fields) -> Result<Tool, InvalidRequest> {
    let name = function.need("name")?;
    let description = function.take("description")?;
    let json_schema: Option<Value> = function.take("parametersJsonSchema")?;
    let schema = function.take::<Value>("parameters")?.map(schema::json_schema);
    Ok(Tool::Function { name, description, parameters: json_schema.or(schema), strict: None, cache: None })
}

/// The same for a model.
pub(super) fn write(tools: &[Tool], family: Family) -> Vec<Value> {
    let mut functions = vec![];
    let mut others = vec![];
    for tool in tools {
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                functions.push(function(name, description.as_deref(), parameters.as_ref(), family));
            }
            Tool::Custom { name, description, .. } => {
                functions.push(function(name, description.as_deref(), Some(&custom::parameters()), family));
            }
            Tool::Other(opaque) => others.extend(opaque.in_dialect(Dialect::GenerateContent).cloned()),
        }
    }
    let functions = (!functions.is_empty()).then(|| json!({ "functionDeclarations": functions }));
    functions.into_iter().chain(others).collect()
}

fn function(name: &str, description: Option<&str>, parameters: Option<&Value>, family: Family) -> Value {
    let mut function = Map::from_iter([("name".to_owned(), json!(name))]);
    function.extend(description.map(|text| ("description".to_owned(), json!(text))));
    if let Some(parameters) = parameters {
        if family.takes_json_schema() {
            function.insert("parametersJsonSchema".to_owned(), parameters.clone());
        } else {
            let reduced = schema::reduced(parameters);
            // Early models refuse an object without properties.
            let says_something = reduced.get("properties").is_some();
            function.extend(says_something.then(|| ("parameters".to_owned(), reduced)));
        }
    }
    function.into()
}

/// `functionCallingConfig`; what the model has no place for stays in the fields.
///
/// # Errors
/// It is malformed.
pub(super) fn read_choice(config: &mut Fields) -> Result<(Option<ToolChoice>, Map<String, Value>), InvalidRequest> {
    let mode: Option<String> = config.take("mode")?;
    let mut allowed: Vec<String> = config.take("allowedFunctionNames")?.unwrap_or_default();
    let mut rest = Map::new();
    let choice = match mode.as_deref() {
        None | Some("MODE_UNSPECIFIED") => None,
        Some("AUTO") => Some(ToolChoice::Auto),
        Some("NONE") => Some(ToolChoice::None),
        Some("ANY") if allowed.len() == 1 => Some(ToolChoice::Named(allowed.remove(0))),
        Some("ANY") => Some(ToolChoice::Required),
        Some(other) => {
            rest.insert("mode".to_owned(), json!(other));
            Some(ToolChoice::Auto)
        }
    };
    if !allowed.is_empty() {
        rest.insert("allowedFunctionNames".to_owned(), json!(allowed));
    }
    Ok((choice, rest))
}

/// The same for a model, where it has functions to choose among; without them Google refuses it.
pub(super) fn write_choice(prompt: &Prompt, config: &mut Map<String, Value>) {
    let has_functions = prompt.tools.iter().any(|tool| matches!(tool, Tool::Function { .. } | Tool::Custom { .. }));
    let Some(choice) = prompt.tool_choice.as_ref().filter(|_| has_functions) else { return };
    let mode = match choice {
        ToolChoice::Auto => "AUTO",
        ToolChoice::None => "NONE",
        ToolChoice::Required | ToolChoice::Named(_) => "ANY",
    };
    config.entry("mode").or_insert_with(|| mode.into());
    if let ToolChoice::Named(name) = choice {
        config.insert("allowedFunctionNames".to_owned(), json!([name]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(parameters: Value) -> Tool {
        Tool::Function {
            name: "weather".to_owned(),
            description: None,
            parameters: Some(parameters),
            strict: Some(true),
            cache: None,
        }
    }

    #[test]
    fn a_schema_goes_as_it_is_to_models_that_take_it_and_reduced_to_others() {
        let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } },
            "additionalProperties": false });
        let as_it_is = &write(&[tool(schema.clone())], Family::of("gemini-2.5-pro"))[0]["functionDeclarations"][0];
        assert_eq!(as_it_is["parametersJsonSchema"], schema);
        let reduced = &write(&[tool(schema)], Family::of("gemini-2.0-flash"))[0]["functionDeclarations"][0];
        assert_eq!(reduced["parameters"], json!({ "properties": { "city": { "type": "STRING" } }, "type": "OBJECT" }));
        let empty = &write(&[tool(json!({ "type": "object" }))], Family::of("gemini-2.0-flash"))[0];
        assert_eq!(empty["functionDeclarations"][0], json!({ "name": "weather" }));
    }

    #[test]
    fn a_tool_of_googles_own_stands_beside_the_functions() {
        let tools = vec![json!({ "googleSearch": {}, "functionDeclarations": [{ "name": "f" }] })];
        let tools = read(tools).unwrap();
        assert_eq!(tools.len(), 2);
        let written = write(&tools, Family::Unknown);
        let expected = [json!({ "functionDeclarations": [{ "name": "f" }] }), json!({ "googleSearch": {} })];
        assert_eq!(written, expected);
    }

    #[test]
    fn a_choice_is_left_out_where_there_is_nothing_to_choose_among() {
        let mut prompt = Prompt { tool_choice: Some(ToolChoice::Named("weather".to_owned())), ..Prompt::default() };
        let mut config = Map::new();
        write_choice(&prompt, &mut config);
        assert!(config.is_empty());
        prompt.tools = vec![tool(json!({}))];
        write_choice(&prompt, &mut config);
        assert_eq!(Value::Object(config), json!({ "mode": "ANY", "allowedFunctionNames": ["weather"] }));
    }
}
