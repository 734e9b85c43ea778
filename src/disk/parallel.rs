//! Many small looks at once, on a few threads.

use std::sync::LazyLock;

/// Below this many a second thread costs more than it saves: starting one takes as long as some 50 system calls.
const WORTH_A_THREAD: usize = 256;

/// More threads do not make one disk faster, and the machine belongs to others.
const MAX_THREADS: usize = 4;

/// Does something for each item, on a few threads where that is worth it, and keeps the order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    // Asked once: it reads a handful of files, for longer than it takes to look at one manifest.
    static THREADS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS));
    if items.len() < WORTH_A_THREAD || *THREADS == 1 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let mut chunks = items.chunks(items.len().div_ceil(*THREADS));
        // The first is this thread's own.
        let mine = chunks.next().unwrap_or_default();
        let handles: Vec<_> =
            chunks.map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>())).collect();
        let mut results: Vec<R> = mine.iter().map(work).collect();
        for handle in handles {
            results.extend(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}
