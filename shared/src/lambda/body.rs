//! The fields of a request's body, sent as a form or as a JSON object.

mod json;

use std::{borrow::Cow, fmt::Display};

use lambda_http::{Body, Request, http::header};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

/// A request that can't be read; the message is for the client, names the field, and quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(Cow<'static, str>);

impl Malformed {
    /// A request that is malformed as a whole.
    pub fn new(problem: impl Into<Cow<'static, str>>) -> Self {
        Self(problem.into())
    }

    /// A field that is missing, repeated or wrong: `password is missing`.
    pub fn field(name: &str, problem: &(impl Display + ?Sized)) -> Self {
        Self(format!("{name} {problem}").into())
    }
}

/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 8192;

/// The fields of a body, in their order. Their text is wiped from memory when dropped.
pub struct Fields(Vec<(String, Value)>);

enum Value {
    Text(Zeroizing<String>),
    /// JSON's `null`: as if the field weren't there.
    Null,
    /// JSON's `true` or `false`.
    Flag(bool),
    /// JSON's list of nothing but strings.
    List(Vec<Zeroizing<String>>),
    /// A value of another type.
    Other,
    /// A form's value that is not UTF-8.
    NotUtf8,
}

impl Fields {
    /// Reads the fields of a request's body, `application/x-www-form-urlencoded` or `application/json`.
    ///
    /// # Errors
    /// [`Malformed`] for another content type, a body over [`MAX_BODY`], or one that isn't what
    /// its content type says. Nothing of the body is in the description.
    pub fn of(request: &Request) -> Result<Self, Malformed> {
        let body: &[u8] = match request.body() {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            _ => &[],
        };
        if body.len() > MAX_BODY {
            return Err(Malformed::new(format!("The body is larger than {MAX_BODY} bytes")));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match media_type(content_type.unwrap_or_default()).as_deref() {
            Some("application/x-www-form-urlencoded") => Ok(Self::of_form(body)),
            Some("application/json") => serde_json::from_slice(body).map_err(|error| {
                // The reader's own message may quote the value that it stopped at.
                let (line, column) = (error.line(), error.column());
                Malformed::new(format!("The body is not a JSON object (line {line}, column {column})"))
            }),
            _ => Err(Malformed::new(
                "Content-Type must be application/x-www-form-urlencoded or application/json, in UTF-8",
            )),
        }
    }

    fn of_form(body: &[u8]) -> Self {
        let decode = |text: &[u8]| {
            let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
            let spaced = Zeroizing::new(spaced);
            // Strict: replacing what isn't UTF-8 would make one password of many.
            percent_decode(&spaced).decode_utf8().map(Cow::into_owned)
        };
        let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        let fields = pairs.filter_map(|pair| {
            let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let value = decode(value).map_or(Value::NotUtf8, |text| Value::Text(text.into()));
            // A name that isn't UTF-8 is none of ours.
            decode(name).ok().map(|name| (name, value))
        });
        Self(fields.collect())
    }

    /// Takes a field out. A field without a value counts as one that isn't there (RFC 6749 section 3.2),
    /// and fields that nobody asks for are ignored, as that section has it.
    ///
    /// # Errors
    /// [`Malformed`], naming the field, where it is repeated, no string, or not UTF-8.
    pub fn take(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, Malformed> {
        let wrong = |problem: &str| Err(Malformed::field(name, problem));
        let Some(at) = self.0.iter().position(|(field, _)| field == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(|(field, _)| field == name) {
            return wrong("is repeated");
        }
        match value {
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Flag(_) | Value::List(_) | Value::Other => wrong("must be a string"),
            Value::NotUtf8 => wrong("is not UTF-8"),
        }
    }

    /// Takes a field out that is `true` or `false`, as text or in JSON; `false` where it isn't there.
    ///
    /// # Errors
    /// As [`Fields::take`], and where it is something else.
    pub fn take_flag(&mut self, name: &str) -> Result<bool, Malformed> {
        for (_, value) in self.0.iter_mut().filter(|(field, _)| field == name) {
            if let Value::Flag(flag) = value {
                *value = Value::Text(flag.to_string().into());
            }
        }
        match self.take(name)?.as_deref().map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Malformed::field(name, "must be true or false")),
        }
    }

    /// Takes a field out that is a list of words: strings in a list of JSON, or a text in which single spaces are
    /// between them. The empty text is the empty list here, and not a field that isn't there.
    ///
    /// # Errors
    /// As [`Fields::take`].
    pub fn take_words(&mut self, name: &str) -> Result<Option<Vec<Zeroizing<String>>>, Malformed> {
        let is_named = |(field, _): &&mut (String, Value)| field == name;
        let mut values = self.0.iter_mut().filter(is_named).map(|(_, value)| value);
        let words = match (values.next(), values.next()) {
            (Some(Value::List(words)), None) => Some(std::mem::take(words)),
            (Some(Value::Text(text)), None) if text.is_empty() => Some(Vec::new()),
            _ => None,
        };
        if words.is_some() {
            self.0.retain(|(field, _)| field != name);
            return Ok(words);
        }
        let text = self.take(name)?;
        Ok(text.map(|text| text.split(' ').map(|word| word.to_owned().into()).collect()))
    }

    /// Checks that nothing is left that nobody has asked for.
    ///
    /// # Errors
    /// [`Malformed`], naming a field that is left.
    pub fn end(&self) -> Result<(), Malformed> {
        /// Enough to recognise a name by.
        const CHARACTERS: usize = 64;
        let Some((name, _)) = self.0.first() else { return Ok(()) };
        let name: String = name.chars().take(CHARACTERS).collect();
        Err(Malformed::new(format!("{name} is not a field of this request")))
    }

    /// Takes a field out that has to be there.
    ///
    /// # Errors
    /// As [`Fields::take`], and where the field isn't there.
    pub fn require(&mut self, name: &str) -> Result<Zeroizing<String>, Malformed> {
        self.take(name)?.ok_or_else(|| Malformed::field(name, "is missing"))
    }

    /// Takes a field out that has to be there, and reads its text.
    ///
    /// # Errors
    /// As [`Fields::require`], and where its text isn't what it should be.
    pub fn require_parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Malformed> {
        parse(&self.require(name)?).map_err(|problem| Malformed::field(name, &problem))
    }
}

/// The media type in lower case, without parameters; `None` where a `charset` is not UTF-8.
fn media_type(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    utf8.then_some(essence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    fn read(content_type: &str, body: impl Into<Body>) -> Result<Fields, Malformed> {
        let mut request = Request::new(body.into());
        request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        Fields::of(&request)
    }

    fn text(fields: &mut Fields, name: &str) -> Option<String> {
        fields.take(name).unwrap().map(|text| text.to_string())
    }

    fn description(malformed: &Malformed) -> String {
        malformed.to_string()
    }

    #[test]
    fn reads_a_form_and_the_same_as_json() {
        let form = read(FORM, "username=a%2Bb&password=p+w%20%26%F0%9F%94%91%00");
        let json = read("Application/JSON; charset=UTF-8", r#"{"username":"a+b","password":"p w &🔑\u0000"}"#);
        let binary = read(FORM, &b"username=a%2Bb&password=p+w%20%26%F0%9F%94%91%00"[..]);
        for mut fields in [form.unwrap(), json.unwrap(), binary.unwrap()] {
            assert_eq!(text(&mut fields, "username").unwrap(), "a+b");
            assert_eq!(text(&mut fields, "password").unwrap(), "p w &🔑\0");
            assert_eq!(text(&mut fields, "scope"), None);
        }
    }

    #[test]
    fn a_field_without_a_value_is_absent_and_an_unknown_one_ignored() {
        let form = read(FORM, "&a=&b&other=1&other=2&%FF=x&c=%").unwrap();
        let json = read(JSON, r#"{"a":"","b":null,"other":[1,{"x":2}],"other":true,"c":"%"}"#).unwrap();
        for mut fields in [form, json] {
            assert_eq!(text(&mut fields, "a"), None);
            assert_eq!(text(&mut fields, "b"), None);
            assert_eq!(text(&mut fields, "c").unwrap(), "%");
            assert_eq!(description(&fields.require("a").unwrap_err()), "a is missing");
        }
    }

    #[test]
    fn a_repeated_field_is_named() {
        for fields in [read(FORM, "a=1&b=2&a=1"), read(JSON, r#"{"a":"1","b":"2","a":"1"}"#), read(FORM, "a=&a=1")] {
            assert_eq!(description(&fields.unwrap().take("a").unwrap_err()), "a is repeated");
        }
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_named_and_not_quoted() {
        for value in ["12345", "-1", "1.5", "true", r#"["secret"]"#, r#"{"secret":1}"#] {
            let mut fields = read(JSON, format!(r#"{{"a":{value}}}"#)).unwrap();
            assert_eq!(description(&fields.take("a").unwrap_err()), "a must be a string");
        }
        assert_eq!(description(&read(FORM, "a=%FF").unwrap().take("a").unwrap_err()), "a is not UTF-8");
    }

    #[test]
    fn a_flag_is_true_or_false_as_text_or_in_json() {
        for (content_type, body, flag) in [
            (FORM, "a=true", true),
            (FORM, "a=false", false),
            (FORM, "a=", false),
            (FORM, "b=true", false),
            (JSON, r#"{"a":true}"#, true),
            (JSON, r#"{"a":"true"}"#, true),
            (JSON, r#"{"a":false}"#, false),
            (JSON, r#"{"a":null}"#, false),
        ] {
            assert_eq!(read(content_type, body).unwrap().take_flag("a").unwrap(), flag, "{body}");
        }
        for (content_type, body, message) in [
            (FORM, "a=1", "a must be true or false"),
            (FORM, "a=TRUE", "a must be true or false"),
            (JSON, r#"{"a":1}"#, "a must be a string"),
            (JSON, r#"{"a":true,"a":true}"#, "a is repeated"),
        ] {
            assert_eq!(description(&read(content_type, body).unwrap().take_flag("a").unwrap_err()), message, "{body}");
        }
    }

    #[test]
    fn words_are_a_list_or_a_text_and_an_empty_one_is_no_word() {
        let words = |content_type: &str, body: &str| {
            let words = read(content_type, body).unwrap().take_words("a");
            words
                .map(|words| words.map(|words| words.iter().map(|word| word.to_string()).collect::<Vec<_>>().join(",")))
        };
        for (content_type, body, expected) in [
            (JSON, r#"{"a":["x","y"]}"#, Some("x,y")),
            (JSON, r#"{"a":"x y"}"#, Some("x,y")),
            (JSON, r#"{"a":[]}"#, Some("")),
            (JSON, r#"{"a":""}"#, Some("")),
            (JSON, r#"{"a":null}"#, None),
            (JSON, "{}", None),
            (FORM, "a=x+y", Some("x,y")),
            (FORM, "a=", Some("")),
        ] {
            assert_eq!(words(content_type, body).unwrap().as_deref(), expected, "{body}");
        }
        for (body, message) in [
            (r#"{"a":["x",1]}"#, "a must be a string"),
            (r#"{"a":[["x"]]}"#, "a must be a string"),
            (r#"{"a":{}}"#, "a must be a string"),
            (r#"{"a":[],"a":["x"]}"#, "a is repeated"),
            (r#"{"a":"","a":"x"}"#, "a is repeated"),
        ] {
            assert_eq!(description(&words(JSON, body).unwrap_err()), message, "{body}");
        }
    }

    #[test]
    fn what_is_left_is_named() {
        let mut fields = read(JSON, r#"{"a":"1","b":null}"#).unwrap();
        fields.take("a").unwrap();
        assert_eq!(description(&fields.end().unwrap_err()), "b is not a field of this request");
        fields.take("b").unwrap();
        fields.end().unwrap();
    }

    #[test]
    fn refuses_bodies_that_are_not_what_they_say() {
        for body in ["", "secret", "[]", "\"secret\"", "{\"a\":\"secret\"", r#"{"a":"\ud800"}"#, "{} secret"] {
            let message = description(&read(JSON, body).err().unwrap());
            assert!(message.starts_with("The body is not a JSON object") && !message.contains("secret"), "{message}");
        }
        for content_type in ["", "text/plain", "multipart/form-data; boundary=x", "application/json; charset=latin1"] {
            assert!(description(&read(content_type, "a=1").err().unwrap()).starts_with("Content-Type must be"));
        }
    }

    #[test]
    fn refuses_more_than_8_kib() {
        read(FORM, format!("a={}", "x".repeat(MAX_BODY - 2))).unwrap();
        let message = description(&read(FORM, format!("a={}", "x".repeat(MAX_BODY - 1))).err().unwrap());
        assert_eq!(message, "The body is larger than 8192 bytes");
    }

    proptest! {
        #[test]
        fn any_text_arrives_as_it_was_sent(value in any::<String>()) {
            prop_assume!(!value.is_empty() && value.len() < 1000);
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            prop_assert_eq!(text(&mut read(FORM, format!("a={encoded}")).unwrap(), "a"), Some(value.clone()));
            let json = serde_json::json!({ "a": value }).to_string();
            prop_assert_eq!(text(&mut read(JSON, json).unwrap(), "a"), Some(value));
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            for content_type in [FORM, JSON] {
                if let Ok(mut fields) = read(content_type, body.as_slice()) {
                    let _ = fields.take("a");
                }
            }
        }
    }
}
