//! A secret leaves its wrapper only through `reveal`, which a reader can search for.
fn main() {
    let secret = lakefeed_plugin_api::Secret::new("hidden");
    let text: String = secret.0;
    drop(text);
}
