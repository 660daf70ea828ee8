use super::*;
use crate::model::agent::decide;
use crate::model::agent::decide::tests::{listed, made, seen};
use crate::model::membership::view::ClusterView;

fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// The last voter, of which this is known, and which has been ending for so long.
fn last(desired: Option<usize>, saving: Saving, known_for: Duration) -> Observation {
    let base = seen(made(), listed("V"));
    let ending = base.ending.clone().map(|ending| Ending { known_for, ..ending });
    Observation { desired, saving, ending, ..base }
}

fn marked(isolation: Isolation) -> Saving {
    Saving { isolation, ..Saving::default() }
}

/// An isolated etcd is silent at its own address.
fn isolated(desired: Option<usize>, isolation: Isolation) -> Observation {
    let silent = ClusterView::Unknown { why: "nobody answers".into() };
    Observation { desired, saving: marked(isolation), ..seen(made(), silent) }
}

#[test]
fn what_was_begun_goes_on_or_is_settled_by_what_the_group_wants_now() {
    let save = AgentStep::Save(SaveWhy::NoneWanted);
    let rows = [
        (isolated(Some(0), Isolation::Begun), save.clone()),
        (isolated(Some(3), Isolation::Begun), AgentStep::Settle),
        (isolated(Some(0), Isolation::ForGood), AgentStep::Answer(Answer::Saved)),
        // Raised after the record was written: the newcomers restore.
        (isolated(Some(3), Isolation::ForGood), AgentStep::Answer(Answer::Saved)),
    ];
    for (seen, expected) in rows {
        assert_eq!(decide(&seen), expected, "{:?} {:?}", seen.desired, seen.saving);
        assert!(expected.wants_lock());
    }
    // An agent that was killed while it saved for a Spot notice, and has just been started again.
    let mut spot = isolated(Some(3), Isolation::Begun);
    spot.ending =
        spot.ending.map(|ending| Ending { left: Some(Duration::from_secs(55)), known_for: Duration::ZERO, ..ending });
    assert_eq!(decide(&spot), AgentStep::Save(SaveWhy::NothingRetains));
    for desired in [Some(0), Some(3), None] {
        let unseen = decide(&isolated(desired, Isolation::Ending));
        assert_eq!(unseen, AgentStep::Settle, "nobody has seen etcd gone: it is ended again, and nothing is answered");
        let kept = decide(&isolated(desired, Isolation::Superseded));
        assert_eq!(kept, AgentStep::Hold(Hold::Superseded), "its data may be newer than the snapshot");
        for words in ["the data is kept", "complete the terminate hook by hand", "'kubeboot reset --now'"] {
            assert!(kept.to_string().contains(words), "{kept}");
        }
    }
    // A retained machine of a cluster that was restored without it.
    let superseded = Saving { superseded: true, ..Saving::default() };
    assert_eq!(decide(&last(Some(3), superseded, Duration::ZERO)), AgentStep::Settle);
    for seen in [isolated(None, Isolation::Begun), isolated(Some(0), Isolation::Unknown("no JSON".into()))] {
        let step = decide(&seen);
        assert!(matches!(step, AgentStep::Hold(Hold::Isolated(_))) && !step.to_string().is_empty(), "{step}");
    }
}

#[test]
fn who_could_not_save_serves_for_a_while_and_says_why() {
    let failed = |ago| Saving { failed: Some(("S3 denies it".into(), ago)), ..Saving::default() };
    let waits = decide(&last(Some(0), failed(PAUSE / 2), Duration::ZERO));
    assert_eq!(waits, AgentStep::Hold(Hold::NotSaved("S3 denies it".into())));
    assert!(waits.to_string().contains("S3 denies it. It serves"), "{waits}");
    assert_eq!(decide(&last(Some(0), failed(PAUSE), Duration::ZERO)), AgentStep::Save(SaveWhy::NoneWanted));
    // The group has changed its mind meanwhile.
    assert!(matches!(decide(&last(Some(1), failed(PAUSE), Duration::ZERO)), AgentStep::Hold(Hold::LastVoter { .. })));
    let taken = |mut seen: Observation| {
        seen.ending = seen.ending.map(|ending| Ending { left: Some(minutes(1)), ..ending });
        seen
    };
    let seen = taken(last(Some(3), failed(Duration::ZERO), minutes(1)));
    assert_eq!(decide(&seen), AgentStep::Save(SaveWhy::NothingRetains), "EC2 does not wait");
}

#[test]
fn a_hook_that_ends_without_a_policy_is_saved_for_in_its_second_half() {
    let hook = |whole| Saving { hook: Some(whole), ..Saving::default() };
    let hold = AgentStep::Hold(Hold::LastVoter { desired: Some(3) });
    let save = AgentStep::Save(SaveWhy::NothingRetains);
    let rows = [(minutes(29), hold.clone()), (minutes(30), save.clone()), (minutes(90), save)];
    for (known_for, expected) in rows {
        assert_eq!(decide(&last(Some(3), hook(minutes(60)), known_for)), expected, "{known_for:?}");
        let kept = Observation { retains: true, ..last(Some(3), hook(minutes(60)), known_for) };
        assert!(!matches!(decide(&kept), AgentStep::Save(_)), "the group keeps it");
        let ahead = Observation { hook: HookView::Ahead, ..last(Some(3), hook(minutes(60)), known_for) };
        assert_eq!(decide(&ahead), hold, "the hook has not begun");
    }
    assert_eq!(decide(&last(Some(3), Saving::default(), minutes(90))), hold, "nobody knows how long it lasts");
}

#[test]
fn only_a_member_that_serves_saves() {
    use crate::model::agent::decide::tests::half;
    use crate::model::machine::local::Stage;
    let half_made = Observation { desired: Some(0), ..seen(half(Stage::Initializing), listed("V")) };
    assert!(matches!(decide(&half_made), AgentStep::Hold(Hold::LastVoter { .. })));
    let with_others = Observation { desired: Some(0), ..seen(made(), listed("VV")) };
    assert_eq!(decide(&with_others), AgentStep::Leave);
    let with_learner = Observation { desired: Some(0), ..seen(made(), listed("VL")) };
    assert_eq!(decide(&with_learner), AgentStep::Save(SaveWhy::NoneWanted), "a learner is removed when it is isolated");
}

#[test]
fn a_voter_without_a_quorum_that_nothing_keeps_uploads_what_it_has_once() {
    let lost = |retains, hook| Observation { retains, hook, desired: Some(0), ..seen(made(), listed("Vvv")) };
    let held = |step: &AgentStep| matches!(step, AgentStep::Hold(Hold::Blocked(_)));
    assert_eq!(decide(&lost(false, HookView::Waits)), AgentStep::Upload);
    let done = Saving { uploaded: true, ..Saving::default() };
    assert!(held(&decide(&Observation { saving: done, ..lost(false, HookView::Waits) })));
    assert!(held(&decide(&lost(true, HookView::Waits))), "the group keeps it");
    for hook in [HookView::Over, HookView::Unnamed] {
        assert_eq!(decide(&lost(true, hook)), AgentStep::Upload, "no hook keeps it");
    }
    assert!(held(&decide(&lost(true, HookView::Ahead))), "it is still to wait in its hook");
    let mut taken = lost(true, HookView::Unnamed);
    taken.ending = taken.ending.map(|ending| Ending { left: Some(minutes(2)), ..ending });
    assert_eq!(decide(&taken), AgentStep::Upload, "no policy keeps a Spot instance");
}
