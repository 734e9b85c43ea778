//! The grace period, through restarts, reboots and clock steps.

use std::time::Duration;

use meshd::agent::Reason;
use meshd::decide::Policy;

use crate::support::World;

const HOUR: Duration = Duration::from_hours(1);

/// A world with an agent that just became unreachable.
fn with_a_missing_agent() -> World {
    let mut world = World::new();
    world.agent("root/ns/kept", "kept");
    world.agent("root/ns/gone", "gone");
    world.sweep();
    world.delete("root/ns/gone");
    world.sweep_settled();
    world.assert_unreachable("gone", "root/ns/gone", Reason::ManifestGone);
    world
}

#[test]
fn an_agent_is_kept_for_the_grace_period_and_then_removed() {
    let mut world = with_a_missing_agent();
    world.pass_time(HOUR * 23);
    assert_eq!(world.sweep().removed, 0);
    world.pass_time(HOUR);
    assert_eq!(world.sweep().removed, 1);
    assert_eq!(world.state("gone"), None);
    world.assert_active_at("kept", "root/ns/kept");
    assert_eq!(world.events().iter().filter(|name| **name == "agent.removed").count(), 1);
}

#[test]
fn only_a_pass_over_everything_removes() {
    let mut world = with_a_missing_agent();
    world.pass_time(HOUR * 48);
    assert_eq!(world.look_at("root/ns/gone").removed, 0);
    assert_eq!(world.look_below("root").removed, 0);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn looking_again_and_again_never_resets_the_grace_clock() {
    let mut world = with_a_missing_agent();
    let since = world.record("gone").unwrap().unreachable.unwrap().since_ms;
    for _ in 0..23 {
        world.pass_time(HOUR);
        world.sweep();
        world.look_at("root/ns/gone");
        assert_eq!(world.record("gone").unwrap().unreachable.unwrap().since_ms, since);
    }
    world.pass_time(HOUR);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn the_clock_runs_on_through_restarts() {
    let mut world = with_a_missing_agent();
    world.pass_time(HOUR * 12);
    world.restart();
    assert_eq!(world.sweep().removed, 0);
    world.pass_time(HOUR * 12);
    world.restart();
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn across_a_reboot_it_goes_by_the_wall_clock_and_the_first_sweep_removes_nothing() {
    let mut world = with_a_missing_agent();
    world.reboot_after(HOUR * 30);
    assert_eq!(world.sweep().removed, 0, "drives may not be mounted yet");
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn an_agent_that_is_back_after_a_reboot_is_reachable_again() {
    let mut world = with_a_missing_agent();
    world.reboot_after(HOUR * 30);
    world.sweep();
    world.agent("root/ns/gone", "gone");
    assert_eq!(world.sweep().resurrected, 1);
    world.assert_active_at("gone", "root/ns/gone");
}

#[test]
fn the_time_before_several_reboots_adds_up() {
    let mut world = with_a_missing_agent();
    for _ in 0..3 {
        world.pass_time(HOUR * 5);
        world.sweep();
        world.reboot_after(HOUR);
        assert_eq!(world.sweep().removed, 0);
    }
    world.pass_time(HOUR * 5);
    assert_eq!(world.sweep().removed, 0, "23 hours");
    world.pass_time(HOUR);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn no_step_of_the_wall_clock_removes_early_or_late() {
    for days in [-1, 1, 3650, -20_000] {
        let mut world = with_a_missing_agent();
        world.pass_time(HOUR);
        world.step_wall_clock(days);
        assert_eq!(world.sweep().removed, 0, "{days} days");
        world.restart();
        assert_eq!(world.sweep().removed, 0, "{days} days, restarted");
        world.pass_time(HOUR * 22);
        assert_eq!(world.sweep().removed, 0, "{days} days");
        world.pass_time(HOUR);
        assert_eq!(world.sweep().removed, 1, "{days} days");
    }
}

#[test]
fn a_wall_clock_that_is_behind_after_a_reboot_counts_nothing_and_never_less() {
    let mut world = with_a_missing_agent();
    world.pass_time(HOUR * 20);
    world.sweep();
    world.step_wall_clock(-2);
    world.reboot_after(HOUR);
    world.sweep();
    world.pass_time(HOUR * 23);
    assert_eq!(world.sweep().removed, 0);
    world.pass_time(HOUR);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn a_grace_period_of_nothing_still_takes_two_passes() {
    let mut world = World::new();
    world.restart_with_policy(Policy { grace_period: Duration::ZERO, ..Policy::default() });
    world.agent("root/ns/gone", "gone");
    world.sweep();
    world.delete("root/ns/gone");
    world.sweep();
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.sweep().removed, 0, "this pass marks it");
    assert_eq!(world.sweep().removed, 1, "and this one removes it");
}
