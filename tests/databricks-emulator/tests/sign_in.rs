//! Tokens: who gets one, for what, and until when.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use databricks_emulator::{Fault, Setting};
use serde_json::json;
use support::{PATIENTS, Site, details};

#[tokio::test]
async fn both_discovery_documents_lead_to_the_token_endpoint() {
    let site = Site::bare().await;
    let url = site.emulator.url();
    let config = site
        .try_send("GET", "/.well-known/databricks-config", None, None)
        .await
        .unwrap()
        .ok();
    assert_eq!(config["oidc_endpoint"], format!("{url}/oidc"));
    let server = site
        .try_send("GET", "/oidc/.well-known/oauth-authorization-server", None, None)
        .await
        .unwrap();
    assert_eq!(server.ok()["token_endpoint"], format!("{url}/oidc/v1/token"));
    assert!(
        server.headers.contains_key("x-request-id") && server.headers.contains_key("x-databricks-org-id")
    );
}

#[tokio::test]
async fn a_wrong_secret_is_invalid_client() {
    let site = Site::bare().await;
    let response = site
        .http
        .post(format!("{}/oidc/v1/token", site.emulator.url()))
        .basic_auth(&site.emulator.options().client_id, Some("wrong"))
        .form(&[("grant_type", "client_credentials"), ("scope", "all-apis")])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"error": "invalid_client", "error_description": "Client authentication failed"})
    );
}

#[tokio::test]
async fn a_malformed_form_has_the_names_of_the_standard() {
    let site = Site::bare().await;
    for (form, status, error) in [
        (vec![("scope", "all-apis")], 400, "invalid_request"),
        (
            vec![("grant_type", "password"), ("scope", "all-apis")],
            400,
            "unsupported_grant_type",
        ),
        (vec![("grant_type", "client_credentials")], 400, "invalid_scope"),
        (
            vec![("grant_type", "client_credentials"), ("scope", "sql")],
            403,
            "access_denied",
        ),
    ] {
        let answer = site.mint(&form).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str().unwrap()),
            (status, error)
        );
    }
}

#[tokio::test]
async fn a_zerobus_token_is_refused_at_once_when_a_grant_is_missing() {
    let site = Site::new().await;
    assert_eq!(site.mint_zerobus(PATIENTS).await.status, 200);
    for sql in [
        format!(
            "REVOKE MODIFY ON TABLE {PATIENTS} FROM `{}`",
            site.emulator.options().client_id
        ),
        format!(
            "GRANT ALL PRIVILEGES ON TABLE {PATIENTS} TO `{}`",
            site.emulator.options().client_id
        ),
        format!(
            "GRANT MODIFY ON SCHEMA aidbox_export.fhir TO `{}`",
            site.emulator.options().client_id
        ),
    ] {
        assert_eq!(site.admin_sql(&sql).await["status"]["state"], "SUCCEEDED");
        let refused = site.mint_zerobus(PATIENTS).await;
        assert_eq!(refused.status, 401, "{sql}");
        assert_eq!(refused.json()["error"], "invalid_authorization_details");
    }
}

#[tokio::test]
async fn underscores_and_a_missing_table_are_refused_at_mint() {
    let site = Site::new().await;
    let underscored = details(PATIENTS)
        .to_string()
        .replace("USE CATALOG", "USE_CATALOG");
    assert_eq!(site.mint_with_details(&underscored).await.status, 401);
    assert_eq!(site.mint_zerobus("aidbox_export.fhir.nosuch").await.status, 401);
    assert_eq!(site.emulator.counters().get("mints-refused"), 2);
}

#[tokio::test]
async fn a_token_of_one_kind_is_refused_where_the_other_is_due() {
    let site = Site::new().await;
    let (plain, zerobus) = (site.plain_token().await, site.zerobus_token(PATIENTS).await);
    let row = r#"[{"id":"p-1","is_deleted":0}]"#;
    assert_eq!(site.insert_with(&plain, PATIENTS, row).await.status, 401);
    let refused = site
        .send(
            "GET",
            &format!("/api/2.1/unity-catalog/tables/{PATIENTS}"),
            &zerobus,
            None,
        )
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error_code"], 403);
    site.emulator.faults().set(Fault::TokenKinds, Setting::disabled());
    assert_eq!(site.insert_with(&plain, PATIENTS, row).await.status, 200);
}

#[tokio::test]
async fn without_the_way_a_token_is_issued_but_the_insert_is_refused() {
    let site = Site::new().await;
    let only_table = json!([details(PATIENTS)[2]]).to_string();
    let token = site.mint_with_details(&only_table).await.ok()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = site.insert_with(&token, PATIENTS, r#"[{"id":"p-1"}]"#).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[tokio::test]
async fn a_token_expires_by_the_clock_and_by_the_switch() {
    let site = Site::new().await;
    let path = format!("/api/2.1/unity-catalog/tables/{PATIENTS}");
    let token = site.plain_token().await;
    site.emulator.clock().advance(Duration::from_secs(3599));
    assert_eq!(site.send("GET", &path, &token, None).await.status, 200);
    site.emulator.clock().advance(Duration::from_secs(2));
    assert_eq!(site.send("GET", &path, &token, None).await.status, 403);
    let token = site.plain_token().await;
    site.emulator.expire_tokens();
    assert_eq!(site.send("GET", &path, &token, None).await.status, 403);
    assert_eq!(site.client("GET", &path, None).await.status, 200);
    let short = Setting {
        seconds: Some(60),
        ..Setting::default()
    };
    site.emulator.faults().set(Fault::TokenLifetime, short);
    let answer = site
        .mint(&[("grant_type", "client_credentials"), ("scope", "all-apis")])
        .await
        .ok();
    assert_eq!(answer["expires_in"], 60);
}

/// What the middle of a token says.
fn said(token: &str) -> serde_json::Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_says_until_when_and_for_what_it_is() {
    let site = Site::new().await;
    let now = site.emulator.clock().now_ms() / 1000;
    let (plain, zerobus) = (
        said(&site.plain_token().await),
        said(&site.zerobus_token(PATIENTS).await),
    );
    for claims in [&plain, &zerobus] {
        let left = claims["exp"].as_i64().unwrap() - now;
        assert!((3590..=3610).contains(&left), "{claims}");
    }
    assert_eq!(
        (&plain["kind"], &zerobus["kind"]),
        (&json!("plain"), &json!("zerobus"))
    );
    assert_eq!(zerobus["table"], PATIENTS);
}

#[tokio::test]
async fn a_token_of_one_table_is_refused_for_another() {
    let site = Site::with_tables(&[("other", "id STRING")]).await;
    let token = site.zerobus_token("aidbox_export.fhir.other").await;
    let refused = site.insert_with(&token, PATIENTS, r#"[{"id":"p-1"}]"#).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[tokio::test]
async fn mints_are_counted_by_table() {
    let site = Site::new().await;
    site.plain_token().await;
    site.zerobus_token(PATIENTS).await;
    site.zerobus_token(PATIENTS).await;
    assert_eq!(site.emulator.counters().get("mints"), 1);
    assert_eq!(site.emulator.counters().get(&format!("mints:{PATIENTS}")), 2);
}
