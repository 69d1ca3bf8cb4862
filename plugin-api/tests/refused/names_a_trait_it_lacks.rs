//! A library that offers `writer` of a type that is none.
use lakefeed_plugin_api::{Host, Plugin, PluginError, PluginInfo, lakefeed_plugin};

struct Empty;

impl Plugin for Empty {
    type Config = ();
    const INFO: PluginInfo = PluginInfo { name: "e", version: "1.0.0", vendor: "v", license: "MIT" };

    fn create(_: (), _: Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

lakefeed_plugin! { Empty: [writer] }

fn main() {}
