import COpenVINO

/// The heaps that the process's memory comes from.
///
/// The C library makes one for every few threads, and a fragment is compiled in those of whatever
/// threads the engine takes. What is freed leaves holes in each of them: an agent grew by half in the
/// first hundred plans that it took part in, without holding a byte more.
public enum ProcessMemory {
    /// Heaps of the process: enough that threads seldom wait for each other, since each keeps a few
    /// small pieces of its own.
    static let heaps: Int32 = 2

    /// Keeps the process at few heaps; to be called before it has many threads.
    ///
    /// Does nothing where `MALLOC_ARENA_MAX` says how many, or the C library is not GNU's.
    public static func keepHeapsFew() { tessera_limit_heaps(heaps) }

    /// Gives memory that was freed, as by a compiled fragment that went, back to the system.
    ///
    /// Takes milliseconds, in which other threads may wait for memory.
    public static func giveBack() { tessera_give_back_free_memory() }
}
