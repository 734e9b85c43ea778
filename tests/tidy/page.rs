//! Keeps the page harmless where it is written, before any browser sees it: no markup is made of text, nothing comes from
//! elsewhere, and every file is one that the daemon serves.

use std::fs;

use super::{none, top};

/// What turns text into markup or code, or asks another host. Trusted Types and the policy refuse most of it in the
/// browser too, but only where it runs.
const NEVER: [&str; 13] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "DOMParser",
    "srcdoc",
    "eval(",
    "Function(",
    "javascript:",
    "http:",
    "https:",
    "style=",
    "cssText",
];

/// The name of a language, which has the form of an address.
const SVG: [&str; 2] = ["\"http://www.w3.org/2000/svg\"", "'http://www.w3.org/2000/svg'"];

/// Every file of the page, by name.
fn files() -> Vec<(String, String)> {
    let directory = top().join("src/api/page");
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            fs::read_to_string(entry.path()).ok().map(|text| (name, text))
        })
        .collect();
    files.sort();
    assert!(files.iter().any(|(name, _)| name == "index.html"), "the page lies in src/api/page");
    files
}

#[test]
fn the_page_makes_no_markup_of_text_and_asks_nobody_else() {
    let mut findings = Vec::new();
    for (name, text) in files() {
        let text = SVG.iter().fold(text, |text, svg| text.replace(svg, ""));
        for (number, line) in text.lines().enumerate() {
            findings.extend(
                NEVER
                    .iter()
                    .filter(|never| line.contains(*never))
                    .map(|never| format!("src/api/page/{name}:{}: `{never}`", number + 1)),
            );
        }
    }
    none(&findings);
}

#[test]
fn only_one_file_of_the_page_makes_elements() {
    let makes = |text: &str| ["createElement", "setAttribute", ".append(new "].iter().any(|word| text.contains(word));
    let others: Vec<_> = files()
        .into_iter()
        .filter(|(name, text)| name != "shown.js" && makes(text))
        .map(|(name, _)| format!("src/api/page/{name}: only shown.js makes elements and attributes"))
        .collect();
    none(&others);
}

#[test]
fn a_file_of_the_page_says_what_it_is_for_and_is_served() {
    let served = fs::read_to_string(top().join("src/api/page.rs")).unwrap_or_default();
    let mut findings = Vec::new();
    for (name, text) in files() {
        if std::path::Path::new(&name).extension().is_some_and(|kind| kind == "js") && !text.starts_with("// ") {
            findings.push(format!("src/api/page/{name}: must open with what it is for"));
        }
        if !served.contains(&format!("include_str!(\"page/{name}\")")) {
            findings.push(format!("src/api/page/{name}: is not served"));
        }
    }
    none(&findings);
}
