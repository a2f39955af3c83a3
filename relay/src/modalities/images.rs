//! Pictures: new ones, and new ones from old ones.
//!
//! Source: `createImage`, `createImageEdit` and `ImagesResponse` of OpenAI's API description.

use serde_json::{Map, Value, json};

use crate::dialects::common::{Fields, data_url};
use crate::{InvalidRequest, Usage};

/// Pictures of one request at most, as OpenAI has it.
const MAX_PICTURES: u32 = 10;

/// A request for pictures.
#[derive(Clone, PartialEq)]
pub struct Images {
    /// The model by the name that the asked side knows.
    pub model: String,
    /// What they show.
    pub prompt: String,
    /// Pictures to begin from, for an edit.
    pub from: Vec<Picture>,
    /// How many.
    pub count: u32,
    /// Width and height in pixels; `None` leaves it to the model.
    pub size: Option<(u32, u32)>,
    /// The client wants addresses instead of bytes.
    pub as_url: bool,
}

/// A picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Such as `image/png`.
    pub media_type: String,
    /// The bytes as standard base64.
    pub base64: String,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images")
            .field("model", &self.model)
            .field("from", &self.from.len())
            .field("count", &self.count)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Images {
    /// What a client asks; `from` is what it uploaded for an edit. Parameters that only OpenAI's models have (quality,
    /// background, style) are left out.
    ///
    /// # Errors
    /// It is malformed; the error names the parameter.
    pub fn read(body: Map<String, Value>, from: Vec<Picture>) -> Result<Self, InvalidRequest> {
        let mut fields = Fields::new(body, "");
        let prompt: String = fields.need("prompt")?;
        if prompt.is_empty() {
            return Err(InvalidRequest::at("prompt", "This must not be empty."));
        }
        let count: u32 = number(fields.take("n")?).map_err(|()| wrong("n"))?.unwrap_or(1);
        if !(1..=MAX_PICTURES).contains(&count) {
            return Err(InvalidRequest::at("n", format!("This must be from 1 to {MAX_PICTURES}.")));
        }
        let size = match fields.take::<String>("size")?.as_deref() {
            None | Some("auto") => None,
            Some(size) => Some(pixels(size).ok_or_else(|| wrong("size"))?),
        };
        let as_url = fields.take::<String>("response_format")?.as_deref() == Some("url");
        Ok(Self { model: fields.need("model")?, prompt, from, count, size, as_url })
    }

    /// The nearest of the shapes that a model can make, as `width:height`.
    pub(super) fn shape(&self, shapes: &[&'static str]) -> Option<&'static str> {
        let (width, height) = self.size?;
        let wanted = (f64::from(width) / f64::from(height)).ln();
        let distance = |shape: &str| {
            let (width, height) = shape.split_once(':')?;
            Some((width.parse::<f64>().ok()?.ln() - height.parse::<f64>().ok()?.ln() - wanted).abs())
        };
        let far = |shape: &str| distance(shape).unwrap_or(f64::INFINITY);
        shapes.iter().copied().min_by(|one, other| far(one).total_cmp(&far(other)))
    }

    /// The longer side, as Google names it; `None` for its usual 1,024 pixels.
    pub(super) fn resolution(&self) -> Option<&'static str> {
        match self.size.map(|(width, height)| width.max(height)) {
            Some(3_001..) => Some("4K"),
            Some(1_793..) => Some("2K"),
            _ => None,
        }
    }

    /// The answer in OpenAI's form. What has no address gets one that contains it.
    pub(super) fn told(&self, pictures: &[Picture], usage: Option<&Usage>, created: i64) -> Value {
        let data = pictures.iter().map(|Picture { media_type, base64 }| {
            if self.as_url { json!({ "url": data_url(media_type, base64) }) } else { json!({ "b64_json": base64 }) }
        });
        let mut told = json!({ "created": created, "data": data.collect::<Vec<_>>() });
        if let (Some(told), Some(usage)) = (told.as_object_mut(), usage) {
            told.insert("usage".to_owned(), tokens(usage));
        }
        told
    }
}

fn tokens(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        "input_tokens_details": {
            "text_tokens": usage.input_tokens.saturating_sub(usage.image_input_tokens),
            "image_tokens": usage.image_input_tokens,
        },
    })
}

fn wrong(param: &str) -> InvalidRequest {
    InvalidRequest::at(param, "This has the wrong type or is out of range.")
}

/// Forms with files say numbers as texts.
fn number(value: Option<Value>) -> Result<Option<u32>, ()> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| ()),
        Some(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Some).ok_or(()),
    }
}

fn pixels(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once(['x', 'X', '*'])?;
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| (1..=16_384).contains(side));
    Some((side(width)?, side(height)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Images, InvalidRequest> {
        let Value::Object(map) = body else { panic!("no object") };
        Images::read(map, vec![])
    }

    #[test]
    fn a_size_is_the_nearest_shape_and_a_resolution() {
        let shapes = ["1:1", "3:4", "4:3", "9:16", "16:9"];
        for (size, shape, resolution) in [
            ("1024x1024", Some("1:1"), None),
            ("1536x1024", Some("4:3"), None),
            ("1024x1792", Some("9:16"), None),
            ("2048x1152", Some("16:9"), Some("2K")),
            ("4096x4096", Some("1:1"), Some("4K")),
            ("auto", None, None),
        ] {
            let asked = read(json!({ "model": "m", "prompt": "p", "size": size })).unwrap();
            assert_eq!((asked.shape(&shapes), asked.resolution()), (shape, resolution), "{size}");
        }
    }

    #[test]
    fn a_malformed_request_is_refused_with_its_place() {
        for (body, place) in [
            (json!({ "model": "m" }), "prompt"),
            (json!({ "model": "m", "prompt": "" }), "prompt"),
            (json!({ "prompt": "p" }), "model"),
            (json!({ "model": "m", "prompt": "p", "n": 0 }), "n"),
            (json!({ "model": "m", "prompt": "p", "n": "many" }), "n"),
            (json!({ "model": "m", "prompt": "p", "n": 11 }), "n"),
            (json!({ "model": "m", "prompt": "p", "size": "big" }), "size"),
            (json!({ "model": "m", "prompt": "p", "size": "0x5" }), "size"),
        ] {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(place));
        }
        assert_eq!(read(json!({ "model": "m", "prompt": "p", "n": "2" })).unwrap().count, 2);
    }

    #[test]
    fn pictures_are_bytes_or_addresses_that_contain_them() {
        let picture = Picture { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
        let told = |format: &str| {
            let asked = read(json!({ "model": "m", "prompt": "p", "response_format": format })).unwrap();
            asked.told(std::slice::from_ref(&picture), None, 7)
        };
        assert_eq!(told("b64_json"), json!({ "created": 7, "data": [{ "b64_json": "aGk=" }] }));
        assert_eq!(told("url")["data"][0]["url"], "data:image/png;base64,aGk=");
    }
}
