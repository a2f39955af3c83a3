//! Tools, and whether they may be called, to and from the wire; the older `functions` are read as tools.
//!
//! Source: OpenAI, "Create chat completion: tools, tool_choice, functions, function_call".

use serde_json::{Map, Value, json};

use super::quirks::Quirks;
use crate::dialects::common::Fields;
use crate::dialects::custom;
use crate::model::{Opaque, Prompt, Tool, ToolChoice};
use crate::{Dialect, InvalidRequest};

/// Takes `tools` and `functions` from a body.
///
/// # Errors
/// One of them is malformed.
pub(super) fn read_tools(body: &mut Fields) -> Result<Vec<Tool>, InvalidRequest> {
    let mut tools = Vec::new();
    for (index, tool) in body.take::<Vec<Value>>("tools")?.into_iter().flatten().enumerate() {
        tools.push(read_tool(tool, format!("{}[{index}]", body.place("tools")))?);
    }
    for (index, function) in body.take::<Vec<Value>>("functions")?.into_iter().flatten().enumerate() {
        let mut function = Fields::of(function, format!("{}[{index}]", body.place("functions")))?;
        tools.push(read_function(&mut function, None)?);
    }
    Ok(tools)
}

fn read_tool(tool: Value, place: String) -> Result<Tool, InvalidRequest> {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or("function").to_owned();
    if !matches!(kind.as_str(), "function" | "custom") {
        return Ok(Tool::Other(Opaque { dialect: Dialect::ChatCompletions, value: tool }));
    }
    let mut fields = Fields::of(tool, place)?;
    let cache = fields.take::<Map<String, Value>>("cache_control")?.map(Value::Object);
    // Clients of the newer API leave out the inner object.
    let mut inner = fields.object(&kind)?;
    let inner = inner.as_mut().unwrap_or(&mut fields);
    if kind == "function" {
        return read_function(inner, cache);
    }
    Ok(Tool::Custom {
        name: inner.need("name")?,
        description: inner.take("description")?,
        format: inner.take("format")?,
    })
}

fn read_function(function: &mut Fields, cache: Option<Value>) -> Result<Tool, InvalidRequest> {
    Ok(Tool::Function {
        name: function.need("name")?,
        description: function.take("description")?,
        parameters: function.take::<Map<String, Value>>("parameters")?.map(Value::Object),
        strict: function.take("strict")?,
        cache,
    })
}

/// Takes `tool_choice` and `function_call` from a body. A choice among some of the tools leaves only those.
///
/// # Errors
/// It is none that the dialect has.
pub(super) fn read_choice(body: &mut Fields, tools: &mut Vec<Tool>) -> Result<Option<ToolChoice>, InvalidRequest> {
    let key = "tool_choice";
    let Some(choice) = body.take::<Value>(key)? else {
        return match body.take::<Value>("function_call")? {
            None => Ok(None),
            Some(Value::String(word)) => read_word(&word, body.place("function_call")).map(Some),
            Some(choice) => {
                Fields::of(choice, body.place("function_call"))?.need("name").map(|name| Some(ToolChoice::Named(name)))
            }
        };
    };
    if let Value::String(word) = &choice {
        return read_word(word, body.place(key)).map(Some);
    }
    let mut choice = Fields::of(choice, body.place(key))?;
    let kind: String = choice.need("type")?;
    match kind.as_str() {
        "function" | "custom" => {
            let mut inner = choice.object(&kind)?;
            Ok(Some(ToolChoice::Named(inner.as_mut().unwrap_or(&mut choice).need("name")?)))
        }
        "allowed_tools" => {
            let mut inner = choice.object(&kind)?;
            let allowed = inner.as_mut().unwrap_or(&mut choice);
            let mode: String = allowed.need("mode")?;
            let names = allowed.need::<Vec<Value>>("tools")?;
            tools.retain(|tool| names.iter().any(|allowed| is_named(tool, allowed)));
            read_word(&mode, allowed.place("mode")).map(Some)
        }
        _ => Err(InvalidRequest::at(body.place(key), "This is none of function, custom and allowed_tools.")),
    }
}

fn read_word(word: &str, place: String) -> Result<ToolChoice, InvalidRequest> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        // Mistral's word and Anthropic's.
        "required" | "any" => Ok(ToolChoice::Required),
        _ => Err(InvalidRequest::at(place, "This must be none, auto, required, or name a tool.")),
    }
}

/// Whether `allowed`, an entry of `allowed_tools.tools`, means that tool.
fn is_named(tool: &Tool, allowed: &Value) -> bool {
    let word = |pointer: &str| allowed.pointer(pointer).and_then(Value::as_str);
    match tool {
        Tool::Function { name, .. } => word("/function/name").or_else(|| word("/name")) == Some(name),
        Tool::Custom { name, .. } => word("/custom/name").or_else(|| word("/name")) == Some(name),
        Tool::Other(other) => other.value.get("type") == allowed.get("type"),
    }
}

/// The `tools` of a body: those that the dialect can say.
pub(super) fn write_tools(tools: &[Tool], quirks: &Quirks) -> Vec<Value> {
    tools.iter().filter_map(|tool| write_tool(tool, quirks)).collect()
}

fn write_tool(tool: &Tool, quirks: &Quirks) -> Option<Value> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            let mut function = Map::new();
            function.insert("name".to_owned(), name.as_str().into());
            if let Some(description) = description {
                function.insert("description".to_owned(), description.as_str().into());
            }
            // Some servers refuse a function without, and none minds one that says nothing.
            let nothing = || json!({"type": "object", "properties": {}});
            function.insert("parameters".to_owned(), parameters.clone().unwrap_or_else(nothing));
            if let Some(strict) = strict {
                function.insert("strict".to_owned(), (*strict).into());
            }
            let mut tool = json!({"type": "function", "function": function});
            if let (Some(cache), true) = (cache, quirks.cache_control) {
                tool["cache_control"] = cache.clone();
            }
            Some(tool)
        }
        Tool::Custom { name, description, .. } if !quirks.custom_tools => {
            let mut function = Map::from_iter([("name".to_owned(), Value::from(name.as_str()))]);
            if let Some(description) = description {
                function.insert("description".to_owned(), description.as_str().into());
            }
            function.insert("parameters".to_owned(), custom::parameters());
            Some(json!({"type": "function", "function": function}))
        }
        Tool::Custom { name, description, format } => {
            let mut custom = Map::from_iter([("name".to_owned(), Value::from(name.as_str()))]);
            if let Some(description) = description {
                custom.insert("description".to_owned(), description.as_str().into());
            }
            if let Some(format) = format {
                custom.insert("format".to_owned(), format.clone());
            }
            Some(json!({"type": "custom", "custom": custom}))
        }
        Tool::Other(opaque) => opaque.in_dialect(Dialect::ChatCompletions).cloned(),
    }
}

/// The `tool_choice` of a body.
pub(super) fn write_choice(choice: &ToolChoice, prompt: &Prompt, quirks: &Quirks) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => {
            let is_custom = |tool: &Tool| matches!(tool, Tool::Custom { name: custom, .. } if custom == name);
            let kind = if quirks.custom_tools && prompt.tools.iter().any(is_custom) { "custom" } else { "function" };
            json!({"type": kind, kind: {"name": name}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: Value) -> Fields {
        Fields::of(body, "").unwrap()
    }

    fn names(tools: &[Tool]) -> Vec<&str> {
        let name = |tool| match tool {
            &Tool::Function { ref name, .. } | &Tool::Custom { ref name, .. } => name.as_str(),
            Tool::Other(_) => "other",
        };
        tools.iter().map(name).collect()
    }

    #[test]
    fn functions_custom_tools_and_those_of_a_provider_are_read_and_written_again() {
        let tools = json!([
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"},
                "strict": true}},
            {"type": "custom", "custom": {"name": "c", "description": "d", "format": {"type": "text"}}},
            {"type": "web_search", "x": 1},
        ]);
        let read = read_tools(&mut fields(json!({"tools": tools}))).unwrap();
        assert_eq!(Value::from(write_tools(&read, &Quirks::OPENAI)), tools);
    }

    #[test]
    fn older_functions_and_flat_tools_are_tools() {
        let body =
            json!({"functions": [{"name": "old", "parameters": {}}], "tools": [{"type": "function", "name": "flat"}]});
        assert_eq!(names(&read_tools(&mut fields(body)).unwrap()), ["flat", "old"]);
        let error = read_tools(&mut fields(json!({"tools": [{"type": "function", "function": {}}]}))).err().unwrap();
        assert_eq!(error.param.as_deref(), Some("tools[0].function.name"));
    }

    #[test]
    fn a_function_without_parameters_gets_some_that_say_nothing() {
        let tools =
            read_tools(&mut fields(json!({"tools": [{"type": "function", "function": {"name": "f"}}]}))).unwrap();
        let written = write_tools(&tools, &Quirks::OPENAI);
        assert_eq!(written[0]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn every_form_of_choice_is_read() {
        let read = |body: Value| read_choice(&mut fields(body), &mut vec![]).unwrap();
        assert_eq!(read(json!({})), None);
        assert_eq!(read(json!({"tool_choice": "none"})), Some(ToolChoice::None));
        assert_eq!(read(json!({"tool_choice": "any"})), Some(ToolChoice::Required));
        let named = Some(ToolChoice::Named("f".to_owned()));
        assert_eq!(read(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})), named);
        assert_eq!(read(json!({"tool_choice": {"type": "custom", "custom": {"name": "f"}}})), named);
        assert_eq!(read(json!({"function_call": {"name": "f"}})), named);
        assert_eq!(read(json!({"function_call": "auto"})), Some(ToolChoice::Auto));
        for wrong in [json!("perhaps"), json!({"type": "perhaps"}), json!(7)] {
            let error = read_choice(&mut fields(json!({"tool_choice": wrong})), &mut vec![]).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("tool_choice"));
        }
    }

    #[test]
    fn a_choice_among_some_tools_leaves_only_those() {
        let mut body = fields(json!({
            "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}},
                {"type": "custom", "custom": {"name": "h"}}],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "function", "function": {"name": "g"}}, {"type": "custom", "custom": {"name": "h"}}]}},
        }));
        let mut tools = read_tools(&mut body).unwrap();
        assert_eq!(read_choice(&mut body, &mut tools).unwrap(), Some(ToolChoice::Required));
        assert_eq!(names(&tools), ["g", "h"]);
    }

    #[test]
    fn a_tool_that_takes_text_is_a_function_where_only_those_are_known() {
        let tool = Tool::Custom { name: "sql".to_owned(), description: Some("d".to_owned()), format: None };
        let prompt = Prompt { tools: vec![tool], ..Prompt::default() };
        let written = write_tools(&prompt.tools, &Quirks::GENERIC);
        let function = json!({"name": "sql", "description": "d", "parameters": custom::parameters()});
        assert_eq!(written, [json!({"type": "function", "function": function})]);
        let choice = write_choice(&ToolChoice::Named("sql".to_owned()), &prompt, &Quirks::GENERIC);
        assert_eq!(choice["type"], "function");
    }

    #[test]
    fn a_named_tool_is_written_as_what_it_is() {
        let custom = Tool::Custom { name: "c".to_owned(), description: None, format: None };
        let prompt = Prompt { tools: vec![custom], ..Prompt::default() };
        let written = |name: &str| write_choice(&ToolChoice::Named(name.to_owned()), &prompt, &Quirks::OPENAI);
        assert_eq!(written("c"), json!({"type": "custom", "custom": {"name": "c"}}));
        assert_eq!(written("f"), json!({"type": "function", "function": {"name": "f"}}));
    }
}
