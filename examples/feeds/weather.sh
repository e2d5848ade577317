#!/usr/bin/env bash
# Makes the tables of weather.yaml through the node at ZEPTO (127.0.0.1:8123 by default), and starts an ingest node that follows the topics.
set -euo pipefail
cd "$(dirname "$0")/../.."
ZEPTO=${ZEPTO:-http://127.0.0.1:8123}
while read -r statement; do curl --silent --show-error --fail-with-body "$ZEPTO/" -d "$statement"; done < examples/feeds/weather.sql
COORDINATOR=$(curl --silent --fail "$ZEPTO/admin/cluster" | python3 -c 'import json, sys; print(json.load(sys.stdin)["group"]["members"][0]["rpc"])')
exec cargo run -p zepto-ingest-node -- --config examples/feeds/weather.yaml --coordinator "$COORDINATOR" --http-port "${PORT:-0}" --node-id 100002
