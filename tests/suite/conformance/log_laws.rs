//! Laws of the log.

use super::*;

const READS: [Topic; 2] = [Topic::AwsEvents, Topic::AwsInventory];

fn numbered(topic: Topic, partition: u32, count: usize) -> Vec<Outgoing> {
    (0..count)
        .map(|n| record(topic, partition, &n.to_string()))
        .collect()
}

fn starting_at(partition: u32, topic: Topic, position: u64) -> BTreeMap<u32, Positions> {
    BTreeMap::from([(partition, Positions::from([(topic, position)]))])
}

pub(crate) fn the_first_change_of_ownership_is_every_partition(world: &mut impl World) {
    let mut log = world.log(&READS);
    for _ in 0..POLLS_MAX {
        if let Some(change) = log.poll(1, WAIT, &mut |_| {}).unwrap() {
            assert_eq!(change, Ownership::Assigned((0..PARTITIONS).collect()));
            return;
        }
    }
    panic!("nothing was assigned");
}

pub(crate) fn a_record_comes_back_byte_for_byte<W: World>(world: &mut W) {
    let mut log = world.log(&READS);
    let every_byte: Vec<u8> = (0..=255).collect();
    let plain = Outgoing {
        topic: Topic::AwsEvents,
        partition: 2,
        key: None,
        payload: None,
        headers: Vec::new(),
        timestamp_ms: Some(1_700_000_000_123),
    };
    let plain_time = plain.timestamp_ms;
    let full = Outgoing {
        key: Some(every_byte.clone()),
        payload: Some(every_byte.repeat(40)),
        headers: vec![
            ("ce_id".into(), b"7".to_vec()),
            ("binary".into(), every_byte),
            ("ce_id".into(), Vec::new()),
        ],
        ..plain.clone()
    };
    let tombstone = Outgoing {
        key: Some(b"row".to_vec()),
        ..plain.clone()
    };
    let empty = Outgoing {
        payload: Some(Vec::new()),
        ..tombstone.clone()
    };
    let sent = vec![full, tombstone, empty, plain];
    publish(&*log, &sent);
    own(&mut *log, &BTreeMap::new());
    let mut came: Vec<Outgoing> = take(&mut *log, sent.len())
        .into_iter()
        .map(|t| t.record)
        .collect();
    if !W::KEEPS_TIME {
        for record in &mut came {
            assert!(record.timestamp_ms > plain_time, "the broker's own time");
            record.timestamp_ms = plain_time;
        }
    }
    assert_eq!(came, sent);
}

pub(crate) fn records_of_a_topic_partition_come_in_order(world: &mut impl World) {
    let mut log = world.log(&READS);
    let mut sent = Vec::new();
    for n in 0..300 {
        for topic in READS {
            for partition in 0..PARTITIONS {
                sent.push(record(topic, partition, &n.to_string()));
            }
        }
    }
    publish(&*log, &sent);
    own(&mut *log, &BTreeMap::new());
    let mut next: BTreeMap<(Topic, u32), u64> = BTreeMap::new();
    for taken in take(&mut *log, sent.len()) {
        let at = next
            .entry((taken.record.topic, taken.record.partition))
            .or_default();
        assert_eq!(taken.offset, *at);
        assert_eq!(taken.record.payload, Some(at.to_string().into_bytes()));
        *at += 1;
    }
    assert_eq!(next.len(), READS.len() * PARTITIONS as usize);
}

pub(crate) fn a_topic_that_is_not_named_is_taken_from_its_start(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 2));
    publish(&*log, &numbered(Topic::AwsInventory, 1, 2));
    let gaps = own(&mut *log, &starting_at(1, Topic::AwsEvents, 2));
    assert_eq!(gaps, []);
    let taken = take(&mut *log, 2);
    assert!(taken.iter().all(|t| t.record.topic == Topic::AwsInventory));
    take_nothing(&mut *log);
}

pub(crate) fn delivery_begins_at_the_given_position(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 5));
    own(&mut *log, &starting_at(1, Topic::AwsEvents, 3));
    assert_eq!(payloads(&take(&mut *log, 2)), ["3", "4"]);
}

pub(crate) fn a_position_beyond_the_end_is_a_gap_and_resumes_at_the_start(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 2));
    let gaps = own(&mut *log, &starting_at(1, Topic::AwsEvents, 9));
    let gap = Gap {
        topic: Topic::AwsEvents,
        partition: 1,
        wanted: 9,
        resumed: 0,
    };
    assert_eq!(gaps, [gap]);
    assert_eq!(payloads(&take(&mut *log, 2)), ["0", "1"]);
}

pub(crate) fn a_position_below_the_start_is_a_gap_and_resumes_at_the_start(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 6));
    world.trim(Topic::AwsEvents, 1, 4);
    let gaps = own(&mut *log, &starting_at(1, Topic::AwsEvents, 2));
    let gap = Gap {
        topic: Topic::AwsEvents,
        partition: 1,
        wanted: 2,
        resumed: 4,
    };
    assert_eq!(gaps, [gap]);
    assert_eq!(payloads(&take(&mut *log, 2)), ["4", "5"]);
}

pub(crate) fn a_position_at_the_end_is_no_gap(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 2));
    let gaps = own(&mut *log, &starting_at(1, Topic::AwsEvents, 2));
    assert_eq!(gaps, []);
    publish(&*log, &[record(Topic::AwsEvents, 1, "next")]);
    assert_eq!(payloads(&take(&mut *log, 1)), ["next"]);
}

pub(crate) fn a_paused_topic_partition_keeps_its_position(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 3));
    own(&mut *log, &BTreeMap::new());
    let mut before = take(&mut *log, 3);
    log.pause(Topic::AwsEvents, 1, true).unwrap();
    publish(&*log, &[record(Topic::AwsEvents, 1, "3")]);
    publish(&*log, &[record(Topic::AwsInventory, 1, "other")]);
    // A pause is advisory, so the paused record may come; the other one must.
    for _ in 0..POLLS_MAX {
        if before.iter().any(|t| t.record.topic == Topic::AwsInventory) {
            break;
        }
        log.poll(64, WAIT, &mut |view| before.push(copy(view)))
            .unwrap();
    }
    log.pause(Topic::AwsEvents, 1, false).unwrap();
    publish(&*log, &[record(Topic::AwsEvents, 1, "4")]);
    let missing = 6 - before.len();
    before.extend(take(&mut *log, missing));
    before.retain(|t| t.record.topic == Topic::AwsEvents);
    assert_eq!(payloads(&before), ["0", "1", "2", "3", "4"]);
}

pub(crate) fn a_stopped_partition_delivers_nothing_and_can_start_again(world: &mut impl World) {
    let mut log = world.log(&READS);
    own(&mut *log, &BTreeMap::new());
    log.stop(&[]).unwrap();
    let others: Vec<u32> = (0..PARTITIONS).filter(|p| *p != 1).collect();
    log.stop(&[1]).unwrap();
    publish(&*log, &numbered(Topic::AwsEvents, 1, 1));
    publish(&*log, &numbered(Topic::AwsEvents, others[0], 1));
    assert_eq!(take(&mut *log, 1)[0].record.partition, others[0]);
    take_nothing(&mut *log);
    log.start(&[(1, Positions::new())]).unwrap();
    assert_eq!(take(&mut *log, 1)[0].record.partition, 1);
}

pub(crate) fn a_partition_started_again_goes_back(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 3));
    publish(&*log, &numbered(Topic::AwsEvents, 2, 1));
    own(&mut *log, &BTreeMap::new());
    take(&mut *log, 4);
    let back = Positions::from([(Topic::AwsEvents, 1)]);
    assert_eq!(log.start(&[(1, back)]).unwrap(), []);
    assert_eq!(payloads(&take(&mut *log, 2)), ["1", "2"]);
    take_nothing(&mut *log);
}

pub(crate) fn a_poll_hands_over_no_more_than_asked_for(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 1, 20));
    own(&mut *log, &BTreeMap::new());
    let mut total = 0;
    for _ in 0..POLLS_MAX {
        let mut count = 0;
        log.poll(3, WAIT, &mut |_| count += 1).unwrap();
        assert!(count <= 3, "{count}");
        total += count;
        if total == 20 {
            return;
        }
    }
    panic!("{total} of 20 came");
}

pub(crate) fn reading_ends_at_the_end_as_of_the_call(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::Workflows, 3, 5));
    let appender = log.appender();
    let mut taken = Vec::new();
    let next = log
        .read(Topic::Workflows, 3, 2, &mut |view| {
            taken.push(copy(view));
            appender
                .append(1, &record(Topic::Workflows, 3, "later"))
                .unwrap();
        })
        .unwrap();
    assert_eq!(
        (next, payloads(&taken)),
        (5, vec!["2".into(), "3".into(), "4".into()])
    );
    assert_eq!(log.read(Topic::Workflows, 0, 0, &mut |_| {}).unwrap(), 0);
    settle(&*appender);
}

pub(crate) fn reading_from_below_the_start_begins_at_the_start(world: &mut impl World) {
    let mut log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 3, 5));
    world.trim(Topic::AwsEvents, 3, 3);
    let mut taken = Vec::new();
    let next = log.read(Topic::AwsEvents, 3, 1, &mut |view| taken.push(copy(view)));
    assert_eq!(next.unwrap(), 5);
    assert_eq!(payloads(&taken), ["3", "4"]);
}

pub(crate) fn settled_records_are_visible_and_survive_a_restart(world: &mut impl World) {
    let log = world.log(&READS);
    publish(&*log, &numbered(Topic::AwsEvents, 3, 5));
    drop(log);
    world.reopen();
    let mut log = world.log(&READS);
    let mut taken = Vec::new();
    log.read(Topic::AwsEvents, 3, 0, &mut |view| taken.push(copy(view)))
        .unwrap();
    assert_eq!(payloads(&taken), ["0", "1", "2", "3", "4"]);
    publish(&*log, &[record(Topic::AwsEvents, 3, "5")]);
    let next = log.read(Topic::AwsEvents, 3, 5, &mut |view| {
        assert_eq!(view.offset, 5);
    });
    assert_eq!(next.unwrap(), 6);
}

pub(crate) fn refreshed_ends_are_the_true_ends(world: &mut impl World) {
    let mut log = world.log(&READS);
    own(&mut *log, &BTreeMap::new());
    publish(&*log, &numbered(Topic::AwsEvents, 1, 7));
    log.refresh_ends(&[0, 1]).unwrap();
    assert_eq!(log.end(Topic::AwsEvents, 1), Some(7));
    assert_eq!(log.end(Topic::AwsInventory, 1), Some(0));
    assert_eq!(log.end(Topic::AwsEvents, 0), Some(0));
}
