CREATE TABLE ticks (symbol LowCardinality(String), time DateTime64(9), price Float64, size Float64, source UInt32, arrived DateTime64(9)) ENGINE = MergeTree ORDER BY (symbol, time);
CREATE TABLE dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), error String, payload String) ENGINE = MergeTree ORDER BY (feed, time);
