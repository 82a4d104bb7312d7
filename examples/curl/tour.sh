#!/usr/bin/env bash
# Reads an order and what belongs to it: examples/curl/tour.sh http://127.0.0.1:8080 ORDER
set -euo pipefail
api=${1:?the address of the API} order=${2:?the number of an order}

get() { curl --silent --show-error --fail --header 'Accept-Language: en' "$api$1"; }
# A string of the JSON on standard input, by its name; jq does better where it is installed.
first() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

echo "order $order:"
answer=$(get "/v1/orders/$order?by=number")
echo "$answer"
user=$(first user <<<"$answer")

echo "balances of user $user:"
get "/v1/users/$user/balances"
echo

echo "the latest of the user's entries:"
get "/v1/users/$user/entries?limit=3"
echo

echo "the order's proof:"
get "/v1/orders/$order/proof?by=number"
echo

echo "asked again, with the tag of the answer before:"
tag=$(curl --silent --head "$api/v1/users/$user/balances" | tr -d '\r' | awk 'tolower($1) == "etag:" { print $2, $3 }')
curl --silent --output /dev/null --write-out 'status %{http_code}\n' --header "If-None-Match: $tag" "$api/v1/users/$user/balances"
