//! What of a text is kept, and what is refused wherever it stands.

use super::{EdgeId, NodeType, Tape};
use crate::program::TextKind;
use crate::trie::{Fields, Trie, TrieBuilder};

/// `id`, `name` and below it `given`.
fn trie() -> Trie {
    let (mut fields, mut trie) = (Fields::default(), TrieBuilder::default());
    let root = trie.add_root();
    let mut child = |at, key| {
        let field = fields.intern(key, None).unwrap();
        trie.child(at, key, field, TextKind::String)
    };
    child(root, "id");
    let name = child(root, "name");
    child(name, "given");
    trie.freeze()
}

/// What is kept of a text, node by node, or the error.
fn kept(text: &str) -> String {
    let read = |mut tape: Tape| {
        let read = tape.read(text.as_bytes(), 0, &trie());
        let (source, _) = read.map_err(|error| error.to_string())?;
        let of_node = |node: &super::TapeNode| {
            let (start, end) = (
                node.text.start as usize,
                (node.text.start + node.text.length) as usize,
            );
            let whole = match node.text.origin {
                crate::cell::Origin::Unescaped => &tape.unescaped,
                _ => source,
            };
            format!("{}:{}", node.field, &whole[start..end])
        };
        let texts: Vec<String> = tape.nodes.iter().skip(1).map(of_node).collect();
        Ok::<_, String>(texts.join(" "))
    };
    let (vector, portable) = (read(Tape::default()), read(Tape::portable()));
    assert_eq!(vector, portable, "{text}");
    vector.unwrap_or_else(|error| error)
}

#[test]
fn only_wanted_values_are_kept() {
    assert_eq!(
        kept(r#"{"id":"a","x":{"id":"b","y":[{"}":"]"}]},"name":{"z":1,"given":"c"}}"#),
        r#"0:a 1:{"z":1,"given":"c"} 2:c"#
    );
    assert_eq!(
        kept(" { \"id\" : null , \"name\" : [ {} , { \"given\" : [ \"a\\u0062\" , 1.50e-1 , true ] } ] } "),
        "0:null 1:{} 1:{ \"given\" : [ \"a\\u0062\" , 1.50e-1 , true ] } 2:ab 2:1.50e-1 2:true"
    );
    assert_eq!(kept(r#"{"x":"\\\"","name":[],"id":"\ud83d\ude00"}"#), "0:😀");
}

#[test]
fn what_is_read_obeys_the_grammar() {
    let malformed = |text: &str, at: usize| {
        let expected = format!("not the JSON of a resource, at byte {at} [VIEW-101]");
        assert_eq!(kept(text), expected, "{text}");
    };
    for (value, at) in [
        ("01", 7),
        ("-", 7),
        ("1.", 8),
        (".5", 6),
        ("+1", 6),
        ("1e", 8),
        ("1.5.2", 9),
        ("tru", 6),
        ("True", 6),
        ("nul", 6),
        ("\"a\tb\"", 7),
        ("\"\\x\"", 7),
        ("\"\\ud83d\"", 7),
        ("\"\\u+123\"", 7),
        ("[1,]", 9),
        ("[1 2]", 9),
        ("[1}", 8),
        ("}", 6),
        ("'a'", 6),
    ] {
        malformed(&format!(r#"{{"id":{value}}}"#), at);
    }
    malformed(r#"{"id":1,}"#, 8);
    malformed(r#"{"id" 1}"#, 6);
    malformed(r#"{"id":1 "name":2}"#, 8);
    malformed(r#"{id:1}"#, 1);
    malformed(r#"{"id":1}}"#, 8);
    malformed(r#"{"id":1} x"#, 9);
    malformed("", 0);
    malformed("[]", 0);
}

#[test]
fn what_is_skipped_is_balanced() {
    for text in [
        r#"{"x":[}"#,
        r#"{"x":{]}"#,
        r#"{"x":{"y":1}"#,
        r#"{"x":"y}"#,
        r#"{"x":"y\"}"#,
        r#"{"x":["]"}"#,
        r#"{"x":}"#,
        r#"{"x":tr"ue"}"#,
        r#"{"x":1[2]}"#,
        r#"{"x":{"y":[{]}}"#,
        r#"{"x":"#,
    ] {
        assert!(kept(text).starts_with("not the JSON of a resource"), "{text}");
    }
}

#[test]
fn a_wanted_key_stands_once_in_its_object() {
    assert_eq!(
        kept(r#"{"id":"a","x":1,"x":2,"id":"b","name":1}"#),
        "an object has the key `id` twice, at byte 22 [VIEW-101]"
    );
    assert_eq!(
        kept(r#"{"name":[],"name":{"given":1}}"#),
        "an object has the key `name` twice, at byte 11 [VIEW-101]"
    );
}

#[test]
fn what_follows_the_last_wanted_key_is_skipped() {
    assert_eq!(
        kept(r#"{"id":"a","name":{"given":1,"given":2},"id":{"}":["]"]}}"#),
        r#"0:a 1:{"given":1,"given":2} 2:1"#
    );
    assert!(kept(r#"{"id":"a","name":1,"x":[{]}"#).starts_with("not the JSON of a resource"));
    assert!(kept(r#"{"id":"a","name":1,"x":[]]"#).starts_with("not the JSON of a resource"));
}

#[test]
fn a_text_that_is_cut_is_refused_wherever_it_ends() {
    let whole = r#"{"id":"a","x":{"y":["\"",{}]},"name":[{"given":["b","c\n"],"z":-1.5}]}"#;
    assert!(!kept(whole).contains("VIEW"));
    for end in 0..whole.len() {
        assert!(kept(&whole[..end]).contains("VIEW-101"), "{end}");
    }
}

#[test]
fn children_are_found_by_their_edge_wherever_the_object_is() {
    let trie = trie();
    let mut tape = Tape::default();
    let text = br#"{"name":[{"given":["a","b"]},{"given":[]},{"id":"c"},"d"],"id":"e"}"#;
    tape.read(text, 0, &trie).unwrap();
    let root = trie.node(trie.root);
    let edge_of = |node: &crate::trie::TrieNode, place: usize, field| EdgeId {
        field,
        place: place as u32,
        edge: node.edge_of(field).unwrap_or(0) as u32,
    };
    let names: Vec<u32> = tape.children(0, edge_of(root, trie.root, 1)).collect();
    assert_eq!(names, [1, 4, 5, 6]);
    assert_eq!(
        tape.children(0, edge_of(root, trie.root, 0)).collect::<Vec<_>>(),
        [7]
    );
    let name = root.edges[root.edge_of(1).unwrap()].to;
    let right = edge_of(trie.node(name), name, 2);
    // An edge of another node of the trie leads to the same children, by a longer way.
    let wrong = EdgeId {
        place: trie.root as u32,
        ..right
    };
    for given in [right, wrong] {
        let found: Vec<Vec<u32>> = names
            .iter()
            .map(|name| tape.children(*name, given).collect())
            .collect();
        assert_eq!(found, [vec![2, 3], vec![], vec![], vec![]]);
    }
    assert_eq!(tape.nodes[6].kind, NodeType::Text(TextKind::String));
}
