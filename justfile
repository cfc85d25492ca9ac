# Show the recipes.
default:
    @just --list --unsorted

# Start Forelog with an example account, keys and simulated VMs.
demo *ARGS:
    cargo run -- demo {{ARGS}}

# Every check, as the build server runs it; arguments go to nextest.
test *ARGS:
    scripts/test.sh {{ARGS}}

# Formatting and lints only.
lint:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings
    cargo clippy --all-targets --features conformance -- -D warnings

# The Debian package, as a release has it, in DIR.
deb DIR="target/deb":
    scripts/package-deb.sh {{DIR}}

# Licences, sources and advisories of the dependencies; `just test` has brought the tools.
dependencies:
    scripts/dependencies.sh

# Measure (criterion); arguments filter the benchmarks.
bench *ARGS:
    cargo bench {{ARGS}}

# Measure beside a bare server and other gateways, which it installs.
compare *ARGS:
    scripts/compare.sh {{ARGS}}

# Measure a long history: cost of a call, reading, start, sessions, three nodes. The full figures need some 20 GB.
bench-large EVENTS="10000000":
    cargo bench --bench large -- {{EVENTS}}
    cargo bench --bench facets -- {{EVENTS}}

# Run the ignored long tests.
soak *ARGS:
    cargo nextest run --profile soak --run-ignored only {{ARGS}}
