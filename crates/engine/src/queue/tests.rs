use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Full, Ring};

#[test]
fn a_ring_is_bounded_in_slots_and_in_bytes() {
    let ring: Ring<u32> = Ring::new(2, 100);
    assert_eq!(ring.reserve(60), Ok(()));
    assert_eq!(ring.reserve(60), Err(Full));
    assert_eq!(ring.reserve(40), Ok(()));
    assert_eq!(ring.reserve(0), Err(Full));
    ring.free(1, 60);
    assert_eq!(ring.reserve(1), Ok(()));
    assert_eq!(ring.bytes(), 41);
}

#[test]
fn an_item_larger_than_the_budget_fits_an_empty_ring() {
    let ring: Ring<u32> = Ring::new(8, 100);
    assert_eq!(ring.reserve(1_000), Ok(()));
    assert_eq!(ring.reserve(1), Err(Full));
    ring.free(1, 1_000);
    assert_eq!(ring.reserve(1), Ok(()));
}

#[test]
fn items_come_out_in_order_and_no_wake_up_is_lost() {
    let ring: Arc<Ring<u64>> = Arc::new(Ring::new(64, usize::MAX));
    let stop = Arc::new(AtomicBool::new(false));
    let consumer = {
        let (ring, stop) = (ring.clone(), stop.clone());
        std::thread::spawn(move || {
            ring.set_consumer(std::thread::current());
            let mut next = 0;
            loop {
                while let Some(item) = ring.pop(|_| 1) {
                    assert_eq!(item, next);
                    next += 1;
                    ring.free(1, 0);
                }
                if stop.load(Ordering::Acquire) && ring.rows() == 0 {
                    return next;
                }
                ring.sleep(Duration::from_secs(20), || stop.load(Ordering::Acquire));
            }
        })
    };
    for item in 0..100_000 {
        while ring.reserve(0).is_err() {
            std::thread::yield_now();
        }
        ring.push(item, 1).expect("the room was reserved");
    }
    stop.store(true, Ordering::Release);
    ring.wake();
    assert_eq!(consumer.join().expect("the consumer ends"), 100_000);
}
