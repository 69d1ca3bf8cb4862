//! All ways through the engine give the same, cell for cell: fast steps and the interpreter, vector instructions and
//! none, a text as somebody wrote it and the same text rewritten.
//!
//! Views and resources are made from a seed. Many resources are not what FHIR says, and some texts are no JSON: then
//! all ways must refuse them, for the same reason.

#![expect(clippy::unwrap_used, reason = "helpers of tests lie outside of tests")]

#[path = "differential/agree.rs"]
mod agree;
#[path = "differential/generate.rs"]
mod generate;

use agree::agreed;
use generate::{Dice, compiled, random_resource, random_view, rewritten};

#[test]
fn all_ways_give_the_same_rows_or_the_same_refusal() {
    let mut dice = Dice::Seed(0x0123_4567_89ab_cdef);
    let (mut given, mut refused, mut broken) = (0, 0, 0);
    for _ in 0..400 {
        let view = random_view(&mut dice);
        let Some((views, types)) = compiled(&view, &mut dice) else {
            continue;
        };
        for _ in 0..40 {
            let resource = random_resource(&mut dice);
            let plain = resource.to_string();
            let expected = agreed(&views, &types, plain.as_bytes());
            let mut text = String::new();
            rewritten(&resource, &mut dice, &mut text);
            assert_eq!(
                agreed(&views, &types, text.as_bytes()),
                expected,
                "{view}: {text}"
            );
            match expected {
                Ok(batch) => given += batch.num_rows(),
                Err(_) => refused += 1,
            }
            let mut bytes = text.into_bytes();
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] = *b"\"\\{}[],:0e\x00\x80n ".get(dice.below(15)).unwrap_or(&0xc3);
            }
            broken += usize::from(agreed(&views, &types, &bytes).is_err());
        }
    }
    // Otherwise the dice have come to say nothing.
    assert!(
        given > 5_000 && refused > 1_000 && broken > 3_000,
        "{given} {refused} {broken}"
    );
}

/// What the fuzzer begins with: its choices come from bytes.
#[test]
fn all_ways_agree_on_what_the_fuzzer_begins_with() {
    let corpus = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/differential")).unwrap();
    let mut views = 0;
    for file in corpus {
        let mut dice = Dice::Bytes(std::fs::read(file.unwrap().path()).unwrap().into_iter());
        if let Some((compiled, types)) = compiled(&random_view(&mut dice), &mut dice) {
            let resource = random_resource(&mut dice).to_string();
            drop(agreed(&compiled, &types, resource.as_bytes()));
            views += 1;
        }
    }
    assert!(views > 3, "{views}");
}
