//! Laws of the store.

use skyherd::ports::{Committed, RECENT_CAPACITY};

use super::*;

/// Writes something of everything, then returns what the owner now expects.
fn write_some(store: &dyn Store, task: TaskId, owner: &Acquired) -> Acquired {
    let mut first = checkpoint(task, owner, "first");
    first.states = vec![(subject("a"), Some(b"state".to_vec()))];
    first.recent = vec![(subject("a"), vec![b"seen".to_vec()])];
    first.wakes = vec![(subject("a"), Some(at(50)))];
    assert_eq!(store.commit(&first).unwrap(), Committed::Committed);
    Acquired {
        epoch: owner.epoch,
        meta: Some(first.meta),
        wakes: vec![(at(50), subject("a"))],
    }
}

/// Everything a task has, but for its epoch.
fn content(store: &dyn Store, task: TaskId) -> String {
    let subjects = store.subjects(task, None, usize::MAX).unwrap().value;
    let states = store.load(task, &subjects).unwrap().value;
    let recent: Vec<_> = subjects
        .iter()
        .map(|s| store.recent(task, s, usize::MAX).unwrap())
        .collect();
    let found = store.acquire(task, 0).unwrap();
    format!(
        "{subjects:?} {states:?} {recent:?} {:?} {:?}",
        found.meta, found.wakes
    )
}

fn add(store: &dyn Store, task: TaskId, subject: &Subject, from: usize, to: usize, step: usize) {
    let mut owner = store.acquire(task, 0).unwrap();
    for start in (from..to).step_by(step) {
        let mut next = checkpoint(task, &owner, &format!("{subject} {start}"));
        let seen = (start..(start + step).min(to)).map(|n| n.to_string().into_bytes());
        next.recent = vec![(subject.clone(), seen.collect())];
        assert_eq!(store.commit(&next).unwrap(), Committed::Committed);
        owner.meta = Some(next.meta);
    }
}

fn numbers_down(from: usize, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| (from - n).to_string().into_bytes())
        .collect()
}

pub(crate) fn an_owner_of_nothing_finds_nothing(world: &mut impl World) {
    let found = world.store().acquire(task(0), 0).unwrap();
    assert_eq!((found.meta, found.wakes), (None, Vec::new()));
    assert!(found.epoch > 0);
}

pub(crate) fn each_owner_has_a_higher_epoch(world: &mut impl World) {
    let mut epochs = Vec::new();
    for _ in 0..3 {
        epochs.push(world.store().acquire(task(0), 0).unwrap().epoch);
        world.reopen();
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

pub(crate) fn an_epoch_is_at_least_the_one_asked_for(world: &mut impl World) {
    let store = world.store();
    assert_eq!(store.acquire(task(0), 40).unwrap().epoch, 40);
    assert_eq!(store.acquire(task(0), 7).unwrap().epoch, 41);
}

pub(crate) fn an_older_owners_checkpoint_is_fenced_and_writes_nothing(world: &mut impl World) {
    let store = world.store();
    let zombie = store.acquire(task(0), 0).unwrap();
    let zombie = write_some(&*store, task(0), &zombie);
    let before = content(&*store, task(0));
    let mut late = checkpoint(task(0), &zombie, "late");
    late.states = vec![(subject("a"), None), (subject("b"), Some(b"late".to_vec()))];
    late.wakes = vec![(subject("a"), None)];
    late.recent = vec![(subject("a"), vec![b"late".to_vec()])];
    assert_eq!(store.commit(&late).unwrap(), Committed::Fenced);
    assert_eq!(content(&*store, task(0)), before);
}

pub(crate) fn a_checkpoint_of_an_epoch_the_store_never_gave_finds_it_went_back(
    world: &mut impl World,
) {
    let store = world.store();
    let mut owner = store.acquire(task(0), 0).unwrap();
    owner.epoch += 5;
    let outcome = store.commit(&checkpoint(task(0), &owner, "x")).unwrap();
    assert_eq!(outcome, Committed::WentBack);
    assert_eq!(store.acquire(task(0), 0).unwrap().meta, None);
}

pub(crate) fn a_checkpoint_on_positions_the_store_does_not_have_finds_it_went_back(
    world: &mut impl World,
) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let owner = write_some(&*store, task(0), &owner);
    for expected in [None, Some(b"another".to_vec())] {
        let mut wrong = checkpoint(task(0), &owner, "second");
        wrong.expected = expected;
        wrong.states = vec![(subject("a"), Some(b"wrong".to_vec()))];
        assert_eq!(store.commit(&wrong).unwrap(), Committed::WentBack);
    }
    let loaded = store.load(task(0), &[subject("a")]).unwrap().value;
    assert_eq!(loaded, [Some(b"state".to_vec())]);
    let right = checkpoint(task(0), &owner, "second");
    assert_eq!(store.commit(&right).unwrap(), Committed::Committed);
}

pub(crate) fn a_checkpoint_is_there_whole_after_a_restart(world: &mut impl World) {
    let mut log = world.log(&[Topic::AwsEvents]);
    let store = world.store();
    let owner = store.acquire(task(1), 0).unwrap();
    let mut first = checkpoint(task(1), &owner, "first");
    first.states = vec![(subject("a"), Some((0..=255).collect()))];
    first.recent = vec![(subject("a"), vec![b"1".to_vec(), b"2".to_vec()])];
    first.wakes = vec![(subject("b"), Some(at(9)))];
    let output = record(Topic::FindingsResource, 1, "edge");
    if log.appender().atomic() {
        first.outputs = vec![output];
    } else {
        publish(&*log, &[output]);
    }
    assert_eq!(store.commit(&first).unwrap(), Committed::Committed);
    log.close().unwrap();
    drop((log, store));
    world.reopen();
    let (mut log, store) = (world.log(&[Topic::AwsEvents]), world.store());
    let found = store.acquire(task(1), 0).unwrap();
    assert_eq!(found.meta, Some(b"first".to_vec()));
    assert_eq!(found.wakes, [(at(9), subject("b"))]);
    let states = store.load(task(1), &[subject("a")]).unwrap().value;
    assert_eq!(states, [Some((0..=255).collect())]);
    let recent = store.recent(task(1), &subject("a"), 10).unwrap();
    assert_eq!(recent, [b"2".to_vec(), b"1".to_vec()]);
    let mut taken = Vec::new();
    log.read(Topic::FindingsResource, 1, 0, &mut |view| {
        taken.push(copy(view));
    })
    .unwrap();
    assert_eq!(payloads(&taken), ["edge"]);
}

pub(crate) fn a_repeated_checkpoint_is_committed_and_changes_nothing(world: &mut impl World) {
    let mut log = world.log(&[Topic::AwsEvents]);
    let store = world.store();
    let owner = store.acquire(task(1), 0).unwrap();
    let mut first = checkpoint(task(1), &owner, "first");
    first.states = vec![(subject("a"), Some(b"state".to_vec()))];
    first.recent = vec![(subject("a"), vec![b"1".to_vec()])];
    if log.appender().atomic() {
        first.outputs = vec![record(Topic::FindingsResource, 1, "edge")];
    }
    for _ in 0..3 {
        assert_eq!(store.commit(&first).unwrap(), Committed::Committed);
    }
    let recent = store.recent(task(1), &subject("a"), 10).unwrap();
    assert_eq!(recent, [b"1".to_vec()]);
    let end = log
        .read(Topic::FindingsResource, 1, 0, &mut |_| {})
        .unwrap();
    assert_eq!(end, first.outputs.len() as u64);
}

pub(crate) fn states_come_in_the_order_asked_for_with_the_missing_ones(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let mut first = checkpoint(task(0), &owner, "first");
    first.states = vec![
        (subject("a"), Some(b"A".to_vec())),
        (subject("b"), Some(Vec::new())),
        (subject("c"), Some(b"C".to_vec())),
    ];
    store.commit(&first).unwrap();
    let asked = ["c", "none", "a", "b", "c"].map(subject);
    let (a, b, c) = (Some(b"A".to_vec()), Some(Vec::new()), Some(b"C".to_vec()));
    assert_eq!(
        store.load(task(0), &asked).unwrap().value,
        [c.clone(), None, a, b, c]
    );
    assert_eq!(
        store.load(task(0), &[]).unwrap().value,
        Vec::<Option<Vec<u8>>>::new()
    );
}

pub(crate) fn what_is_read_names_the_memory_it_was_read_from(world: &mut impl World) {
    let store = world.store();
    for count in 0..3 {
        let owner = store.acquire(task(0), 0).unwrap();
        let owner = if count == 0 {
            owner
        } else {
            let next = checkpoint(task(0), &owner, &format!("meta {count}"));
            assert_eq!(store.commit(&next).unwrap(), Committed::Committed);
            Acquired {
                meta: Some(next.meta),
                ..owner
            }
        };
        for subjects in [vec![], vec![subject("none")]] {
            let loaded = store.load(task(0), &subjects).unwrap();
            assert_eq!((loaded.epoch, &loaded.meta), (owner.epoch, &owner.meta));
        }
        let listed = store.subjects(task(0), None, 1).unwrap();
        assert_eq!((listed.epoch, listed.meta), (owner.epoch, owner.meta));
    }
    let nobody = store.load(task(1), &[subject("a")]).unwrap();
    assert_eq!((nobody.epoch, nobody.meta), (0, None));
}

pub(crate) fn a_deleted_state_is_gone_with_its_observations(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let owner = write_some(&*store, task(0), &owner);
    let mut second = checkpoint(task(0), &owner, "second");
    second.states = vec![(subject("a"), None)];
    second.recent = vec![(subject("a"), vec![b"unsaid".to_vec()])];
    store.commit(&second).unwrap();
    assert_eq!(store.load(task(0), &[subject("a")]).unwrap().value, [None]);
    assert_eq!(store.subjects(task(0), None, 10).unwrap().value, []);
    let recent = store.recent(task(0), &subject("a"), 10).unwrap();
    assert_eq!(recent, Vec::<Vec<u8>>::new());
}

pub(crate) fn tasks_do_not_see_each_others_memory(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    write_some(&*store, task(0), &owner);
    let same_partition = TaskId {
        agent: AgentName::Cost,
        partition: 0,
    };
    for other in [task(1), same_partition] {
        assert_eq!(content(&*store, other), "[] [] [] None []");
        assert_eq!(store.load(other, &[subject("a")]).unwrap().value, [None]);
    }
}

pub(crate) fn wakes_come_oldest_first_and_survive_a_restart(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let mut first = checkpoint(task(0), &owner, "first");
    first.wakes = vec![
        (subject("a: late"), Some(at(3_000))),
        (subject("before the epoch"), Some(at(-5))),
        (subject("early"), Some(at(200))),
    ];
    store.commit(&first).unwrap();
    drop(store);
    world.reopen();
    let wakes = world.store().acquire(task(0), 0).unwrap().wakes;
    let expected = [
        (at(-5), subject("before the epoch")),
        (at(200), subject("early")),
        (at(3_000), subject("a: late")),
    ];
    assert_eq!(wakes, expected);
}

pub(crate) fn a_wake_replaces_the_subjects_earlier_one_and_can_be_removed(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let mut first = checkpoint(task(0), &owner, "first");
    first.wakes = vec![(subject("a"), Some(at(100))), (subject("b"), Some(at(200)))];
    store.commit(&first).unwrap();
    let mut second = checkpoint(task(0), &owner, "second");
    second.expected = Some(first.meta);
    second.wakes = vec![(subject("a"), Some(at(300))), (subject("b"), None)];
    store.commit(&second).unwrap();
    let wakes = store.acquire(task(0), 0).unwrap().wakes;
    assert_eq!(wakes, [(at(300), subject("a"))]);
}

pub(crate) fn the_newest_hundred_observations_are_kept(world: &mut impl World) {
    let store = world.store();
    add(&*store, task(0), &subject("a"), 0, 250, 250);
    let check = |store: &dyn Store| {
        let newest = |n| store.recent(task(0), &subject("a"), n).unwrap();
        assert_eq!(newest(0), Vec::<Vec<u8>>::new());
        assert_eq!(newest(3), numbers_down(249, 3));
        assert_eq!(newest(500), numbers_down(249, RECENT_CAPACITY));
    };
    check(&*store);
    drop(store);
    world.reopen();
    check(&*world.store());
}

pub(crate) fn observations_added_one_by_one_are_those_added_at_once(world: &mut impl World) {
    let store = world.store();
    add(&*store, task(0), &subject("one by one"), 0, 250, 1);
    add(&*store, task(0), &subject("by sevens"), 0, 250, 7);
    for name in ["one by one", "by sevens"] {
        let newest = |n| store.recent(task(0), &subject(name), n).unwrap();
        assert_eq!(newest(500), numbers_down(249, RECENT_CAPACITY), "{name}");
        assert_eq!(newest(17), numbers_down(249, 17), "{name}");
    }
}

pub(crate) fn a_subject_whose_name_begins_anothers_has_its_own_observations(
    world: &mut impl World,
) {
    let store = world.store();
    add(&*store, task(0), &subject("i-1"), 0, 40, 40);
    add(&*store, task(0), &subject("i-10"), 100, 140, 40);
    let mut owner = store.acquire(task(0), 0).unwrap();
    let mut delete = checkpoint(task(0), &owner, "delete");
    delete.states = vec![(subject("i-1"), None)];
    assert_eq!(store.commit(&delete).unwrap(), Committed::Committed);
    owner.meta = Some(delete.meta);
    let kept = store.recent(task(0), &subject("i-10"), 500).unwrap();
    assert_eq!(kept, numbers_down(139, 40));
    let gone = store.recent(task(0), &subject("i-1"), 500).unwrap();
    assert_eq!(gone, Vec::<Vec<u8>>::new());
}

pub(crate) fn a_wiped_task_keeps_only_its_epoch(world: &mut impl World) {
    let store = world.store();
    let first = store.acquire(task(0), 0).unwrap();
    let owner = write_some(&*store, task(0), &first);
    let neighbour = store.acquire(task(1), 0).unwrap();
    write_some(&*store, task(1), &neighbour);
    let kept = content(&*store, task(1));
    assert_eq!(
        store.wipe(task(0), owner.epoch).unwrap(),
        Committed::Committed
    );
    let recent = store.recent(task(0), &subject("a"), 10).unwrap();
    assert_eq!(recent, Vec::<Vec<u8>>::new());
    assert_eq!(content(&*store, task(1)), kept);
    // The wiping owner goes on from nothing.
    let mut restored = checkpoint(task(0), &owner, "restored");
    restored.expected = None;
    assert_eq!(store.commit(&restored).unwrap(), Committed::Committed);
    let next = store.acquire(task(0), 0).unwrap();
    assert_eq!(
        (next.meta, next.wakes),
        (Some(b"restored".to_vec()), vec![])
    );
    assert!(next.epoch > owner.epoch);
    assert_eq!(store.subjects(task(0), None, 10).unwrap().value, []);
}

pub(crate) fn an_older_owner_wipes_nothing(world: &mut impl World) {
    let store = world.store();
    let first = store.acquire(task(0), 0).unwrap();
    let owner = write_some(&*store, task(0), &first);
    let before = content(&*store, task(0));
    assert_eq!(store.wipe(task(0), owner.epoch).unwrap(), Committed::Fenced);
    assert_eq!(content(&*store, task(0)), before);
}

pub(crate) fn subjects_are_listed_in_order_after_the_last_one_seen(world: &mut impl World) {
    let store = world.store();
    let owner = store.acquire(task(0), 0).unwrap();
    let mut first = checkpoint(task(0), &owner, "first");
    let state = |name: &str| (subject(name), Some(b"s".to_vec()));
    first.states = ["c", "a", "ab", "b"].map(state).to_vec();
    store.commit(&first).unwrap();
    let mut seen: Vec<Subject> = Vec::new();
    loop {
        let page = store.subjects(task(0), seen.last(), 3).unwrap().value;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, ["a", "ab", "b", "c"].map(subject));
}
