CREATE TABLE IF NOT EXISTS measurements (place LowCardinality(String), quantity LowCardinality(String), at DateTime64(9), value Float64) ENGINE = MergeTree ORDER BY (place, at);
CREATE TABLE IF NOT EXISTS dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), error String, payload String) ENGINE = MergeTree ORDER BY (feed, time);
