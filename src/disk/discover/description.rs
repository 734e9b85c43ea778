//! The first paragraph of a Markdown file that says what a project is, as one plain line.
//!
//! This is no Markdown parser: what is not clearly prose is passed over, and a wrong guess costs a person one edit.

use crate::agent::shown::acts;

/// The longest description, in characters: about three lines of a list.
const MAX_CHARS: usize = 300;

/// How much of a line, and about how much of a paragraph, is looked at, in bytes: more than any description comes from.
/// Marks in each other take time in proportion to its square, and a stranger wrote the file.
const MAX_LINE_BYTES: usize = 2_000;

/// What some tools write at the top of every such file that they make. It says nothing about the project.
const BOILERPLATE: &str = "This file provides guidance to";

/// The first paragraph of `text` that is prose.
#[must_use]
pub fn first_paragraph(text: &str) -> Option<String> {
    let text = without_comments(text.trim_start_matches('\u{feff}'));
    let (mut paragraph, mut fence, mut in_list) = (String::new(), None, false);
    for line in body(&text).lines() {
        let line = line.get(..line.floor_char_boundary(MAX_LINE_BYTES)).unwrap_or(line);
        match Line::of(line, fence) {
            Line::Prose(_) if paragraph.len() > MAX_LINE_BYTES => continue,
            Line::Prose(_) if in_list || (paragraph.is_empty() && is_indented(line)) => continue,
            Line::Prose(prose) => {
                paragraph.push_str(prose);
                paragraph.push(' ');
                continue;
            }
            Line::Decoration => continue,
            Line::Fence(mark) => fence = if fence.is_some() { None } else { Some(mark) },
            Line::List => in_list = true,
            // What is underlined is a heading.
            Line::Underline => paragraph.clear(),
            Line::Empty => in_list = false,
            Line::Other => {}
        }
        if let Some(found) = finished(&paragraph) {
            return Some(found);
        }
        paragraph.clear();
    }
    finished(&paragraph)
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    /// Part of a paragraph.
    Prose(&'a str),
    /// Pictures, badges and tags: not even the end of a paragraph.
    Decoration,
    /// The beginning or the end of code, with these marks.
    Fence(&'static str),
    /// The beginning of a point of a list.
    List,
    /// Under a heading, or a rule across the page.
    Underline,
    /// Nothing.
    Empty,
    /// A heading, a row of a table, an import, or code.
    Other,
}

impl<'a> Line<'a> {
    fn of(line: &'a str, fence: Option<&'static str>) -> Self {
        let line = line.trim();
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| line.starts_with(*mark)) {
            return if fence.is_none_or(|open| open == mark) { Self::Fence(mark) } else { Self::Other };
        }
        if fence.is_some() {
            return Self::Other;
        }
        if line.is_empty() {
            return Self::Empty;
        }
        if ['=', '-', '*', '_'].iter().any(|mark| line.trim_start_matches(*mark).is_empty()) {
            return Self::Underline;
        }
        let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_numbered =
            after_number.len() < line.len() && [". ", ") "].iter().any(|end| after_number.starts_with(end));
        if is_numbered || ["- ", "* ", "+ "].iter().any(|point| line.starts_with(point)) {
            return Self::List;
        }
        let is_heading = line.starts_with('#') && line.trim_start_matches('#').starts_with([' ', '\t']);
        let is_import = line.starts_with('@') && !line.contains(' ');
        if is_heading || is_import || line.starts_with('|') {
            return Self::Other;
        }
        let prose = line.trim_start_matches(['>', ' ']);
        if plain(prose).is_empty() || (prose.starts_with("[!") && prose.ends_with(']') && !prose.contains("](")) {
            return Self::Decoration;
        }
        Self::Prose(prose)
    }
}

/// Whether a line belongs to code, or to the point of a list before it.
fn is_indented(line: &str) -> bool {
    line.starts_with("  ") || line.starts_with('\t')
}

/// The text behind its front matter.
fn body(text: &str) -> &str {
    for mark in ["---", "+++"] {
        let Some((first, rest)) = text.split_once('\n') else { return text };
        if first.trim_end() != mark {
            continue;
        }
        let mut at = 0_usize;
        for line in rest.split_inclusive('\n') {
            at = at.saturating_add(line.len());
            if line.trim_end() == mark {
                return rest.get(at..).unwrap_or_default();
            }
        }
    }
    text
}

/// The text without what stands in `<!-- … -->`. One that is never closed takes the rest.
fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(part.split_once("-->").map_or("", |(_, after)| after));
    }
    kept
}

/// A paragraph as a description, if it is one.
fn finished(paragraph: &str) -> Option<String> {
    let line = plain(paragraph);
    if line.is_empty() || line.starts_with(BOILERPLATE) {
        return None;
    }
    let Some((end, _)) = line.char_indices().nth(MAX_CHARS) else { return Some(line) };
    // Room for the mark that says that it goes on, and no word cut in two unless it is all there is.
    let cut: String = line.get(..end)?.chars().take(MAX_CHARS.saturating_sub(1)).collect();
    let whole = cut.rsplit_once(' ').map_or(cut.as_str(), |(whole, _)| whole);
    Some(format!("{}…", whole.trim_end_matches([',', ';', ':', ' '])))
}

/// Prose without pictures, tags, bold and code marks, with the text of links in their place, and nothing in it that acts.
fn plain(prose: &str) -> String {
    let mut text = String::new();
    let mut rest = prose;
    while let Some(at) = rest.find(['!', '[', '<']) {
        let (before, marked) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.push_str(before);
        let picture = marked.strip_prefix('!').and_then(link).map(|(_, after)| ("", after));
        let linked = || link(marked);
        let (shown, after) = picture.or_else(linked).or_else(|| tag(marked)).unwrap_or_else(|| {
            let length = marked.chars().next().map_or(0, char::len_utf8);
            marked.split_at_checked(length).unwrap_or((marked, ""))
        });
        // The text of a link may be a picture.
        text.push_str(&if shown.len() > 1 { plain(shown) } else { shown.to_owned() });
        rest = after;
    }
    text.push_str(rest);
    let text: String = text.replace("**", "").chars().map(|c| if acts(c) { ' ' } else { c }).collect();
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a link that begins here, and what follows the link.
fn link(text: &str) -> Option<(&str, &str)> {
    let (shown, after) = bracketed(text, '[', ']')?;
    let (_, after) = bracketed(after, '(', ')').or_else(|| bracketed(after, '[', ']'))?;
    Some((shown, after))
}

/// What is between brackets that begin here, and what follows them. They may hold others.
fn bracketed(text: &str, opening: char, closing: char) -> Option<(&str, &str)> {
    let inside = text.strip_prefix(opening)?;
    let mut open = 1_usize;
    for (at, c) in inside.char_indices() {
        if c == opening {
            open = open.saturating_add(1);
        } else if c == closing {
            open = open.saturating_sub(1);
        }
        if open == 0 {
            return Some((inside.get(..at)?, inside.get(at.checked_add(closing.len_utf8())?..)?));
        }
    }
    None
}

/// Nothing in place of a tag or an address that begins here, and what follows it.
fn tag(text: &str) -> Option<(&'static str, &str)> {
    let inside = text.strip_prefix('<')?;
    let (name, after) = inside.split_once('>')?;
    let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    is_tag.then_some(("", after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(text: &str, expected: &str) {
        assert_eq!(first_paragraph(text).unwrap_or_default(), expected);
    }

    #[test]
    fn headings_badges_comments_and_front_matter_are_passed_over() {
        says(
            "---\ntitle: x\ndescription: y\n---\n<!-- a\n\ncomment -->\n# Title\n\n\
            [![Build](https://b/x.svg)](https://b) ![License][license]\n<p align=\"center\"><img src=\"x\"></p>\n\n\
            A *tool* for **many**\nthings.\n\nMore.",
            "A *tool* for many things.",
        );
        says("Title\n=====\n\nSub\n---\nText", "Text");
        says("+++\na = 1\n+++\nText", "Text");
        says("---\nno end of it\n\nText", "no end of it");
        says("\u{feff}# T\r\n\r\nText\r\nand more\r\n", "Text and more");
        says("Before <!-- never closed\n\nafter", "Before");
    }

    #[test]
    fn lists_code_tables_and_imports_are_no_paragraph() {
        says("- one\n  more of it\nlazily\n\n  and a second part\n\n1. two\n\nText", "Text");
        says(
            "```sh\nrun this\n\n~~~\n```\n~~~\nand this\n~~~\n    indented\n\n| a | b |\n|---|---|\n@AGENTS.md\nText",
            "Text",
        );
        says("> [!NOTE]\n> Quoted text", "Quoted text");
        says("Text\n- with a list", "Text");
        says("# T\nText right below", "Text right below");
        assert_eq!(first_paragraph("# Only\n\n- a\n\n```\ncode"), None);
        assert_eq!(first_paragraph(""), None);
    }

    #[test]
    fn what_tools_write_in_every_file_says_nothing() {
        says(
            "# CLAUDE.md\n\nThis file provides guidance to Claude Code (claude.ai/code) when working with code in this \
            repository.\n\n## Overview\n\nA registry.",
            "A registry.",
        );
    }

    #[test]
    fn links_are_their_text_and_marks_are_gone() {
        says(
            "See [the `docs` (v2)](https://x/(y)) & <https://z>, a < b, wow! [x] [y][z]",
            "See the docs (v2) & , a < b, wow! [x] y",
        );
        says("![only a picture](x)\n\nText", "Text");
        says("項目 — naïve ✓", "項目 — naïve ✓");
    }

    #[test]
    fn nothing_in_it_acts_on_a_terminal() {
        says("a\u{1b}[2J\tb\u{202e}c\u{200b}", "a [2J b c");
    }

    #[test]
    fn it_is_cut_between_words() {
        let long = "word, ".repeat(100);
        let cut = first_paragraph(&long).unwrap();
        assert!(cut.ends_with("word…") && cut.chars().count() <= MAX_CHARS, "{cut}");
        let unbroken = "é".repeat(400);
        assert_eq!(first_paragraph(&unbroken).unwrap().chars().count(), MAX_CHARS);
        let exact = "é".repeat(MAX_CHARS);
        says(&exact, &exact);
    }

    #[test]
    fn marks_in_each_other_cost_neither_stack_nor_time() {
        let links = format!("{}x{}", "[".repeat(10_000), "](y)".repeat(10_000));
        for hostile in [links, "[".repeat(65_000), "[![<".repeat(16_000), "[\n".repeat(30_000), "<!--".repeat(16_000)] {
            let _ = first_paragraph(&hostile);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_finds_is_one_plain_line(text in "([a-z é\n]|!?\\[|\\]|\\(|\\)|<|>|\\*|`|-|#|\u{1b}){0,80}") {
            if let Some(found) = first_paragraph(&text) {
                proptest::prop_assert!(!found.is_empty() && !found.chars().any(acts));
                proptest::prop_assert_eq!(found.trim(), &found);
            }
        }
    }
}
