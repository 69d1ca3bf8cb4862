//! Random views over random resources: fast steps, interpreter, vector instructions and none agree, however the text is
//! written.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/differential/agree.rs"]
mod agree;
#[expect(dead_code, reason = "here all choices come from bytes")]
#[path = "../../tests/differential/generate.rs"]
mod generate;

use agree::agreed;
use generate::{Dice, compiled, random_resource, random_view, rewritten};

fuzz_target!(|bytes: &[u8]| {
    let mut dice = Dice::Bytes(bytes.to_vec().into_iter());
    let view = random_view(&mut dice);
    let Some((views, types)) = compiled(&view, &mut dice) else {
        return;
    };
    for _ in 0..3 {
        let resource = random_resource(&mut dice);
        let expected = agreed(&views, &types, resource.to_string().as_bytes());
        let mut text = String::new();
        rewritten(&resource, &mut dice, &mut text);
        assert_eq!(
            agreed(&views, &types, text.as_bytes()),
            expected,
            "{view}: {text}"
        );
    }
});
