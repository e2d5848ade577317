//! The exported metrics. Alerts, the autoscaler and the dashboard use these names, so each stands once.

macro_rules! names {
    ($($(#[$doc:meta])* $id:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $id: &str = $text;)*
        /// Every exported name.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

names! {
    /// 1 while the process runs.
    SERVER_UP = "zepto_server_up";
    /// 1 while `/ready` answers 200.
    SERVER_READY = "zepto_server_ready";
    /// Rows that arrived at the door.
    TICKS_INGESTED = "zepto_ticks_ingested_total";
    /// Rows acknowledged as durable.
    TICKS_STORED = "zepto_ticks_stored_total";
    /// Rows refused because a queue was full.
    TICKS_DROPPED = "zepto_ticks_dropped_total";
    /// Rows per second over the last ten seconds.
    INGEST_RATE = "zepto_ingest_ticks_per_sec";
    /// Statements executed.
    QUERIES_EXECUTED = "zepto_queries_executed_total";
    /// Rows read by queries.
    ROWS_SCANNED = "zepto_rows_scanned_total";
    /// Seconds a query took.
    QUERY_DURATION = "zepto_query_duration_seconds";
    /// Seconds an INSERT took, from its head to its acknowledgement.
    INSERT_DURATION = "zepto_insert_duration_seconds";
    /// Seconds of one log sync.
    WAL_SYNC_DURATION = "zepto_wal_sync_duration_seconds";
    /// Seconds that a call between nodes took, by method and peer.
    RPC_DURATION = "zepto_rpc_duration_seconds";
    /// Bytes of rows on their way from this node to owners.
    BYTES_IN_FLIGHT = "zepto_bytes_in_flight";
    /// Changes of the catalog that could not be passed on.
    DDL_FORWARD_FAILURES = "zepto_ddl_forward_failures_total";
    /// Rows waiting in ring buffers.
    QUEUE_ROWS = "zepto_queue_rows";
    /// Slots of the ring buffers.
    QUEUE_CAPACITY = "zepto_queue_capacity";
    /// Bytes of active memtables.
    MEMTABLE_BYTES = "zepto_memtable_bytes";
    /// Segments, by tier.
    SEGMENTS = "zepto_segments";
    /// Damaged segments that were found after the start.
    SEGMENTS_DAMAGED = "zepto_segments_damaged_total";
    /// Bytes free on the data disk.
    DISK_FREE = "zepto_disk_free_bytes";
    /// Bytes of the data disk.
    DISK_TOTAL = "zepto_disk_total_bytes";
    /// Resident memory of the process.
    MEMORY_USED = "zepto_memory_used_bytes";
    /// Memory bound of the process.
    MEMORY_LIMIT = "zepto_memory_limit_bytes";
    /// Cores the process may use.
    CPU_LIMIT = "zepto_cpu_limit_cores";
    /// CPU seconds of the process.
    PROCESS_CPU = "process_cpu_seconds_total";
    /// Version of the catalog.
    CATALOG_VERSION = "zepto_catalog_version";
    /// Version of the placement.
    PLACEMENT_VERSION = "zepto_placement_version";
    /// Partitions that this node owns.
    PARTITIONS_OWNED = "zepto_partitions_owned";
    /// Messages that were said to copies on other nodes, by peer.
    REPLICATE_MESSAGES = "zepto_replicate_messages_total";
    /// Messages to copies on other nodes that were dropped, by peer and reason: away, full, broken, unknown.
    REPLICATE_DROPPED = "zepto_replicate_dropped_total";
    /// Messages of copies on other nodes for which there was no room, by peer.
    REPLICATE_UNHEARD = "zepto_replicate_unheard_total";
    /// Whole states of copies that are fetched from owners now.
    STATES_FETCHING = "zepto_copy_states_fetching";
    /// Whole states of copies that are sent to other nodes now.
    STATES_SENDING = "zepto_copy_states_sending";
    /// Whole states of copies that were fetched, by outcome: fetched, broken.
    STATES_FETCHED = "zepto_copy_states_fetched_total";
    /// Pieces of whole states that were fetched.
    STATE_PIECES = "zepto_copy_state_pieces_total";
    /// Bytes of these pieces.
    STATE_BYTES = "zepto_copy_state_bytes_total";
    /// Messages that came under a token older than one seen.
    FENCED_WRITES = "zepto_fenced_writes_total";
    /// Messages of two nodes under one epoch: never without a fault.
    TWO_OWNERS = "zepto_two_owners_total";
    /// Milliseconds by which this node's wall clock is ahead of the median of its peers'.
    CLOCK_AHEAD = "zepto_clock_ahead_ms";
    /// Partitions with fewer in-sync copies than the replication factor.
    PARTITIONS_UNDER_REPLICATED = "zepto_partitions_under_replicated";
    /// Parts of blocks that were acknowledged while fewer copies than the replication factor were in sync.
    UNDER_REPLICATED_ACKS = "zepto_under_replicated_acks_total";
    /// Partitions that nobody can own: no in-sync copy is on an able node.
    PARTITIONS_UNAVAILABLE = "zepto_partitions_unavailable";
    /// Statements answered by plain scans because an owner planned them otherwise.
    FRAGMENTS_REFUSED = "zepto_query_fragments_refused_total";
    /// Moves and repairs of copies that are under way.
    MOVES_UNDER_WAY = "zepto_moves_under_way";
    /// 1 on the coordinator that leads.
    COORDINATOR_LEADS = "zepto_coordinator_leads";
    /// Rows that a feed stored.
    FEED_ROWS = "zepto_feed_rows_total";
    /// 1 while a feed reads and writes, else 0.
    FEED_RUNNING = "zepto_feed_running";
    /// Messages that a feed has not read yet.
    FEED_LAG = "zepto_feed_lag";
    /// Messages of a feed that went to its dead-letter table, by kind of source.
    FEED_DECODE_ERRORS = "zepto_feed_decode_errors_total";
    /// Messages that a source removed before a feed could read them.
    FEED_MISSED = "zepto_feed_missed_total";
    /// Requests by route and status.
    HTTP_REQUESTS = "zepto_http_requests_total";
    /// Open HTTP connections.
    HTTP_SESSIONS = "zepto_http_active_sessions";
}
