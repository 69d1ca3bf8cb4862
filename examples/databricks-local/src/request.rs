//! A request: the command that a reader could type, and the sending of it. Both are made of the same text.

use reqwest::{Client, Method};

use crate::Failure;
use crate::answer::Answer;
use crate::environment::Environment;

/// A request whose address and body name variables.
pub(crate) struct Request {
    method: Method,
    address: String,
    is_signed: bool,
    body: Option<String>,
}

impl Request {
    /// A call of the workspace, by the person who sets it up.
    pub(crate) fn databricks(method: Method, path: &str) -> Self {
        Self {
            method,
            address: format!("$DATABRICKS_HOST{path}"),
            is_signed: true,
            body: None,
        }
    }

    /// A statement for the warehouse. A line break in it is one in the command only.
    pub(crate) fn statement(sql: &str) -> Self {
        let sql = sql.replace('\n', " \\\n");
        Self::databricks(Method::POST, "/api/2.0/sql/statements").with(format!(
            "{{\"warehouse_id\": \"$WAREHOUSE_ID\", \"wait_timeout\": \"30s\", \"statement\": \"\\\n{sql}\"}}"
        ))
    }

    /// A call of lakefeed, below `/fhir/`. On loopback it asks nobody for a name.
    pub(crate) fn fhir(method: Method, path: &str) -> Self {
        Self {
            method,
            address: format!("$AIDBOX_URL/fhir/{path}"),
            is_signed: false,
            body: None,
        }
    }

    /// With a body of JSON.
    pub(crate) fn with(self, body: impl Into<String>) -> Self {
        Self {
            body: Some(body.into()),
            ..self
        }
    }

    /// The command. It runs in a shell that has the variables.
    pub(crate) fn command(&self) -> String {
        let mut command = "curl -s".to_owned();
        if self.method != Method::GET {
            command.push_str(&format!(" -X {}", self.method));
        }
        command.push_str(&format!(" \"{}\"", self.address));
        let mut more = Vec::new();
        if self.is_signed {
            more.push("-H \"Authorization: Bearer $DATABRICKS_TOKEN\"");
        }
        if self.body.is_some() {
            more.push("-H 'Content-Type: application/json' --data-binary @- <<EOF");
        }
        if !more.is_empty() {
            command.push_str(&format!(" \\\n  {}", more.join(" ")));
        }
        command.push_str(" | jq");
        if let Some(body) = &self.body {
            command.push_str(&format!("\n{}\nEOF", body.trim_end()));
        }
        command
    }

    /// Sends it, and reads the answer to its end.
    pub(crate) async fn send(&self, client: &Client, environment: &Environment) -> Result<Answer, Failure> {
        let address = environment.expand(&self.address)?;
        let mut request = client.request(self.method.clone(), address);
        if self.is_signed {
            request = request.bearer_auth(environment.get("DATABRICKS_TOKEN")?);
        }
        if let Some(body) = &self.body {
            request = request
                .header("content-type", "application/json")
                .body(environment.expand(body)?);
        }
        let response = request.send().await?;
        let status = response.status();
        Ok(Answer::new(status, &response.text().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_is_sent() {
        let request = Request::statement("SELECT *\nFROM $CATALOG.s.t");
        let expected = r#"curl -s -X POST "$DATABRICKS_HOST/api/2.0/sql/statements" \
  -H "Authorization: Bearer $DATABRICKS_TOKEN" -H 'Content-Type: application/json' --data-binary @- <<EOF | jq
{"warehouse_id": "$WAREHOUSE_ID", "wait_timeout": "30s", "statement": "\
SELECT * \
FROM $CATALOG.s.t"}
EOF"#;
        assert_eq!(request.command(), expected);
        let mut environment = Environment::default();
        environment.set("WAREHOUSE_ID", "w");
        environment.set("CATALOG", "c");
        let body = environment.expand(&request.body.unwrap()).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["statement"], "SELECT * FROM c.s.t");
    }

    #[test]
    fn a_read_is_one_line() {
        let request = Request::fhir(Method::GET, r"Patient/\$x");
        assert_eq!(
            request.command(),
            r#"curl -s "$AIDBOX_URL/fhir/Patient/\$x" | jq"#
        );
    }
}
