//! Every named maximum. A queue, loop, batch, retry or wait that has no entry here has no bound.

use std::time::Duration;

/// Partitions of a fresh cluster or standalone node; fixed when the data directory is made.
pub const PARTITIONS_DEFAULT: u16 = 256;
/// Most partitions a data directory can be made with.
pub const PARTITIONS_MAX: u16 = 4096;
/// Slots of a drain thread's ring buffer when the configuration says 0.
pub const RING_CAPACITY_DEFAULT: usize = 65_536;
/// Smallest ring buffer.
pub const RING_CAPACITY_MIN: usize = 4_096;
/// Largest ring buffer.
pub const RING_CAPACITY_MAX: usize = 16_777_216;
/// Bytes of rows that may wait in one ring buffer.
pub const RING_BYTES_MAX: usize = 256 << 20;
/// How long a writer waits for room in the ring buffer before it is told 429.
pub const QUEUE_WAIT: Duration = Duration::from_secs(2);
/// Rows of one block: a request is cut into blocks of this many rows, each atomic per partition.
pub const BLOCK_ROWS: usize = 65_536;
/// Bytes of one block after decoding; a block is cut earlier when it gets here.
pub const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Bytes of one row of input as text or binary.
pub const ROW_BYTES_MAX: usize = 128 << 20;
/// Bytes of one Arrow message, and of a whole Parquet file, of an INSERT.
pub const COLUMNAR_BYTES_MAX: usize = 1 << 30;
/// Bytes of one string value.
pub const VALUE_BYTES_MAX: usize = 64 << 20;
/// Bytes of a statement without its data.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of an HTTP request body after decompression.
pub const BODY_BYTES_MAX: u64 = 16 << 30;
/// A body may grow at most this many times by decompression once it is past [`BODY_RATIO_FREE_BYTES`].
pub const BODY_RATIO_MAX: u64 = 1_000;
/// Below this size the decompression ratio is not judged.
pub const BODY_RATIO_FREE_BYTES: u64 = 16 << 20;
/// Columns of a table.
pub const COLUMNS_MAX: usize = 4_096;
/// Bytes of a table, column or database name.
pub const NAME_BYTES_MAX: usize = 256;
/// Tables of one node.
pub const TABLES_MAX: usize = 10_000;
/// Nesting of an expression or a JSON document.
pub const DEPTH_MAX: usize = 128;
/// One try to have a TRUNCATE or DELETE committed in a node's partitions; what has not answered is asked again.
pub const SWEEP_TRY_TIME_MAX: Duration = Duration::from_secs(20);
/// Elements of a statement once its aliases and functions are put in.
pub const STATEMENT_ELEMENTS_MAX: u64 = 50_000;
/// Bytes of one log file.
pub const LOG_FILE_BYTES: u64 = 64 << 20;
/// Bytes of one log frame.
pub const FRAME_BYTES_MAX: usize = 256 << 20;
/// Bytes of frames that may wait for one sync of a log.
pub const LOG_GROUP_BYTES_MAX: usize = 512 << 20;
/// Bytes of a log's group buffer that are kept between syncs.
pub const LOG_GROUP_KEEP_BYTES: usize = 16 << 20;
/// Released log files that one drain thread keeps for use again.
pub const LOG_SPARES_MAX: usize = 4;
/// Rows of an active memtable (one table, one drain thread) at which it is sealed into a run.
pub const MEMTABLE_ROWS_MAX: usize = 1 << 20;
/// Bytes of an active memtable at which it is sealed.
pub const MEMTABLE_BYTES_MAX: usize = 128 << 20;
/// Age at which an active memtable is sealed.
pub const MEMTABLE_AGE_MAX: Duration = Duration::from_secs(60);
/// Time in which a start verifies segments; what is left is verified while the store serves.
pub const SEGMENT_CHECK_TIME: Duration = Duration::from_secs(60);
/// Deduplication keys kept per table and drain thread.
pub const DEDUP_WINDOW_BATCHES: usize = 10_000;
/// Producers per table and drain thread whose oldest known sequence is remembered.
pub const DEDUP_PRODUCERS_MAX: usize = 10_000;
/// Age up to which deduplication keys are kept.
pub const DEDUP_WINDOW_AGE: Duration = Duration::from_secs(3_600);
/// Stack of a thread that plans or evaluates expressions: plans are deep recursions.
pub const EXPRESSION_STACK_BYTES: usize = 8 << 20;
/// Query deadline when the client names none.
pub const QUERY_TIME_DEFAULT: Duration = Duration::from_secs(300);
/// How long an INSERT that is stopped may take to say which of its blocks are stored.
pub const STOPPED_INSERT_WAIT: Duration = Duration::from_secs(2);
/// Rows of a batch that leaves a query (ClickHouse's default block).
pub const RESULT_BLOCK_ROWS: usize = 65_409;
/// Rows of one partition that an operator over sorted data reads from files, or puts in order, at once; with more the
/// generic plan streams them.
pub const SORTED_COPY_ROWS_MAX: usize = 1 << 23;
/// Bytes that one call of a function makes for one block of rows.
pub const FUNCTION_BYTES_MAX: usize = 256 << 20;
/// Bytes of a constant that is computed once, as a part of the plan: its text becomes a part of names.
pub const CONSTANT_BYTES_MAX: usize = 64 << 10;
/// Queries that may run at once.
pub const QUERIES_MAX: usize = 256;
/// HTTP connections that may be open at once; further ones wait in the listener's backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 4_096;
/// Bytes of an HTTP request's line and headers.
pub const HTTP_HEAD_BYTES_MAX: usize = 256 << 10;
/// Headers of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 128;
/// Requests that may run at once on one HTTP/2 connection.
pub const HTTP_STREAMS_MAX: u32 = 128;
/// Parameters of a URL.
pub const HTTP_PARAMETERS_MAX: usize = 4_096;
/// How long a connection may take for a request's head, also while it idles between two requests.
pub const HTTP_HEAD_TIME_MAX: Duration = Duration::from_secs(35);
/// How long a TLS handshake may take.
pub const HTTP_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a peer may neither send the next byte of a body nor take the next byte of an answer.
pub const HTTP_STALL_MAX: Duration = Duration::from_secs(60);
/// How long a whole INSERT may take when the client names no `max_execution_time`.
pub const HTTP_INSERT_TIME_MAX: Duration = Duration::from_secs(3_600);
/// How long requests in flight may go on after shutdown was asked for.
pub const HTTP_SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(30);
/// Sessions that one door remembers.
pub const SESSIONS_MAX: usize = 16_384;
/// Sessions that one subject may have.
pub const SESSIONS_PER_USER_MAX: usize = 1_024;
/// Bytes of the settings of one session, names and values together.
pub const SESSION_BYTES_MAX: usize = 64 << 10;
/// How long a session without `session_timeout` is remembered after its last request.
pub const SESSION_TIME_DEFAULT: Duration = Duration::from_secs(60);
/// Longest `session_timeout`.
pub const SESSION_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of the headers of one part of a form.
pub const FORM_HEAD_BYTES_MAX: usize = 8 << 10;
/// Bytes of all fields of a form that are no tables.
pub const FORM_FIELD_BYTES_MAX: usize = 16 << 20;
/// Tables that may come with one request.
pub const EXTERNAL_TABLES_MAX: usize = 64;
/// Bytes of their rows together, decoded.
pub const EXTERNAL_BYTES_MAX: usize = 256 << 20;
/// Bytes of a body that are gathered before they are decoded.
pub const HTTP_CHUNK_BYTES: usize = 256 << 10;
/// Bytes of a refused body that are read and thrown away, so that the client sees the answer.
pub const HTTP_DRAIN_BYTES_MAX: u64 = 8 << 20;
/// How long the throwing away may take.
pub const HTTP_DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// Blocks of one INSERT that may be on their way to storage.
pub const INSERT_BLOCKS_IN_FLIGHT: usize = 4;
/// Bytes of decoded blocks of all INSERTs of one door together.
pub const INSERT_BYTES_IN_FLIGHT: usize = 512 << 20;
/// Bytes of an answer that are held back so that a small one comes whole, with its final numbers.
pub const RESULT_HEAD_BYTES: usize = 256 << 10;
/// How long the first bytes of an answer are held back.
pub const RESULT_HEAD_TIME: Duration = Duration::from_millis(50);
/// Bytes of an answer that are held back under `wait_end_of_query`.
pub const RESULT_WAIT_BYTES_MAX: usize = 32 << 20;
/// Bytes of an exception's text.
pub const EXCEPTION_BYTES_MAX: usize = 16 << 10;
/// Partitions of sources whose offsets one table remembers, per drain thread.
pub const FEED_SOURCES_MAX: usize = 4_096;
/// Bytes of a feed stream's name: the feed's, a slash, the topic's.
pub const FEED_STREAM_BYTES_MAX: usize = 512;
/// Feeds of one ingest node.
pub const FEEDS_MAX: usize = 256;
/// Messages of one batch of a feed.
pub const FEED_BATCH_MESSAGES: usize = 50_000;
/// Bytes of the messages of one batch of a feed.
pub const FEED_BATCH_BYTES: usize = 16 << 20;
/// Batches of a feed that wait while one is written.
pub const FEED_BATCHES_WAITING: usize = 2;
/// How long a batch of a feed gathers messages.
pub const FEED_BATCH_TIME: Duration = Duration::from_millis(50);
/// As long for a feed of MQTT, whose broker waits for answers when its window is full.
pub const FEED_MQTT_BATCH_TIME: Duration = Duration::from_millis(10);
/// Topic filters of a feed of MQTT.
pub const FEED_MQTT_FILTERS_MAX: usize = 256;
/// Bytes of one packet of MQTT.
pub const FEED_MQTT_PACKET_BYTES_MAX: u32 = 16 << 20;
/// How long connecting to a broker of MQTT may take, and its answer to what is said there.
pub const FEED_MQTT_CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a packet for a broker of MQTT may take to be taken.
pub const FEED_MQTT_SEND_TIME: Duration = Duration::from_secs(10);
/// Between two checkpoints of a feed's positions.
pub const FEED_CHECKPOINT: Duration = Duration::from_secs(1);
/// How long one try of a feed to write a batch may take; what the storage refuses is tried again and again.
pub const FEED_WRITE_TIME: Duration = Duration::from_secs(30);
/// How long the batch in hand may take when the node stops; what is not stored then is read again.
pub const FEED_STOP_WRITE_TIME: Duration = Duration::from_secs(5);
/// How long all feeds of a node may take to end in order.
pub const FEED_STOP_TIME: Duration = Duration::from_secs(30);
/// Bytes of the rows of one message of a feed: a block of them is far from the bound of a log frame.
pub const FEED_MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// Bytes of a constant of a feed, which every message has.
pub const FEED_CONSTANT_BYTES_MAX: usize = 4 << 10;
/// The first wait of a feed after a fault; doubles up to [`FEED_BACKOFF_MAX`].
pub const FEED_BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest wait of a feed after a fault.
pub const FEED_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// So long without a fault, and a feed's waits begin small again.
pub const FEED_CALM: Duration = Duration::from_secs(60);
/// How long a feed may take to leave its source.
pub const FEED_CLOSE_TIME: Duration = Duration::from_secs(10);
/// Bytes of a payload that a dead letter keeps, at most.
pub const DEAD_LETTER_BYTES_MAX: usize = 1 << 20;
/// Bytes of one message of rows between nodes: what a log frame can hold, and its head.
pub const WRITE_MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + (1 << 20);
/// Bytes of one message of a query's rows between nodes.
pub const QUERY_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Bytes of rows that one edge may have on their way to one owner.
pub const OWNER_BYTES_IN_FLIGHT: usize = 128 << 20;
/// Sub-requests that one edge may have on their way to one owner.
pub const OWNER_REQUESTS_IN_FLIGHT: usize = 1_024;
/// Bytes of rows that an owner holds for all edges together before it stops reading.
pub const OWNER_BYTES_TAKEN: usize = 512 << 20;
/// How long an edge waits for an owner's answer before it cuts the stream and asks again.
pub const OWNER_ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// How long connecting to an owner may take, and its first message.
pub const OWNER_CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// Rows of one piece of a copy's state on its way to another node.
pub const STATE_PIECE_ROWS: usize = 8_192;
/// Bytes of one piece of a copy's state, unless one row alone has more.
pub const STATE_PIECE_BYTES: usize = 1 << 20;
/// Rows of one segment that is made of a state that comes in.
pub const STATE_SEGMENT_ROWS: usize = 1 << 20;
/// Bytes of rows of a state that comes in before they become a segment.
pub const STATE_SEGMENT_BYTES: usize = 32 << 20;
/// States that one node fetches from others at once.
pub const STATES_FETCHED_MAX: usize = 2;
/// States that one node sends to others at once.
pub const STATES_SENT_MAX: usize = 4;
/// Bytes per second of one state that is sent.
pub const STATE_BYTES_PER_SECOND: usize = 64 << 20;
/// Pieces of a state that wait for the network.
pub const STATE_PIECES_WAITING: usize = 2;
/// How long a piece of a state may take to come or to be taken.
pub const STATE_PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long an owner keeps its log for a copy that has fetched the state before it.
pub const STATE_LOG_KEPT: Duration = Duration::from_secs(60);
/// How long an edge tries to bring one block to its owners: longer than a failover takes.
pub const ROUTE_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it sends parts of one block.
pub const ROUTE_TRIES_MAX: u32 = 128;
/// The first wait between two tries; doubles up to [`ROUTE_PAUSE_MAX`].
pub const ROUTE_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest wait between two tries.
pub const ROUTE_PAUSE_MAX: Duration = Duration::from_millis(500);
/// Selects of one statement whose columns are looked up before it is planned.
pub const MATCHED_SELECTS_MAX: usize = 256;

/// Bytes of the condition of a DELETE that a cluster agrees on.
pub const CONDITION_BYTES_MAX: usize = 16 << 10;
/// DELETEs that may wait for their partitions in a cluster.
pub const DELETES_MAX: usize = 100;
