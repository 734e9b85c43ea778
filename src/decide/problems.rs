//! Problems: what is unreadable, and what changed against the problems that were known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::roots::Roots;
use super::{Action, Policy, Probe, Problem, ProblemKind, Site, Unreadable, UnreadableKind, View};

/// Adds a problem for every manifest that is unreadable for good, and asks for another look at those that may be in the
/// middle of being written.
pub fn unreadable(
    view: &View,
    roots: &Roots,
    policy: &Policy,
    problems: &mut BTreeSet<Problem>,
    look_again: &mut Vec<(PathBuf, Duration)>,
) {
    let known: BTreeSet<&Path> = view
        .problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Unreadable)
        .map(|problem| problem.project.as_path())
        .collect();
    for (project, site) in &view.sites {
        let Probe::Unreadable(unreadable) = &site.probe else { continue };
        if site.denied || site.held || site.root.as_ref().is_none_or(|root| roots.is_away(root, project)) {
            continue;
        }
        if is_behind_what_was_not_listed(project, site, unreadable, roots) {
            continue;
        }
        let known = known.contains(project.as_path());
        let next = policy.read_again_after.iter().find(|after| **after > site.standing);
        match (unreadable.kind, next) {
            (UnreadableKind::Content, Some(next)) if !known => {
                look_again.push((project.clone(), next.saturating_sub(site.standing)));
            }
            (UnreadableKind::Content | UnreadableKind::Access | UnreadableKind::System, _) => {
                let id =
                    view.recorded.values().find(|record| record.project == *project).map(|record| record.id.clone());
                let detail = unreadable.why.clone();
                problems.insert(Problem { project: project.clone(), kind: ProblemKind::Unreadable, id, detail });
            }
        }
    }
}

/// What is new against the problems that were known at the places looked at, and what is no more.
/// What was known in a root that is offline, below a mount that is gone, or where somebody is just registering, stays so: nothing was decided there.
pub fn changes(view: &View, roots: &Roots, problems: &BTreeSet<Problem>) -> Vec<Action> {
    let standing: BTreeSet<(&Path, ProblemKind)> =
        problems.iter().map(|problem| (problem.project.as_path(), problem.kind)).collect();
    let is_unseen = |known: &Problem| {
        view.sites.get(&known.project).is_some_and(|site| {
            let is_away = site.root.as_ref().is_some_and(|root| roots.is_away(root, &known.project));
            let is_behind = matches!(&site.probe, Probe::Unreadable(unreadable)
                if is_behind_what_was_not_listed(&known.project, site, unreadable, roots));
            site.held || is_away || is_behind
        })
    };
    let is_gone = |known: &&Problem| !standing.contains(&(known.project.as_path(), known.kind)) && !is_unseen(known);
    let cleared = view.problems.iter().filter(is_gone).cloned().map(Action::Clear);
    let known: BTreeSet<(&Path, ProblemKind)> =
        view.problems.iter().map(|problem| (problem.project.as_path(), problem.kind)).collect();
    let raised = problems.difference(&view.problems).map(|problem| {
        let is_known = known.contains(&(problem.project.as_path(), problem.kind));
        if is_known { Action::Restate(problem.clone()) } else { Action::Raise(problem.clone()) }
    });
    cleared.chain(raised).collect()
}

/// Whether a manifest could not be looked at for the reason for which its root is degraded: that is told once, there.
fn is_behind_what_was_not_listed(project: &Path, site: &Site, unreadable: &Unreadable, roots: &Roots) -> bool {
    unreadable.kind != UnreadableKind::Content && site.root.as_ref().is_some_and(|root| roots.in_doubt(root, project))
}
