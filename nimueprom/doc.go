// Package nimueprom shows nimue's pools to Prometheus. One line is enough for all
// pools of the process, those opened later included:
//
//	prometheus.MustRegister(nimueprom.NewCollector())
//
// Metrics are made from [pool.Pool.Stats] when Prometheus asks for them. Between two
// scrapes nothing happens, and no use of a pool costs more than without it.
//
// # Metrics
//
// All begin with nimue_ and have a label pool, the pool's name. Where pools of one
// name live beside each other, the second is name#2, and so on; each keeps its label
// for life. Give pools names of their own (pool_name) to have labels that survive a
// restart.
//
//   - nimue_connections by state, nimue_waiters, their peaks, and the limits in
//     force: nimue_connections_max and others
//   - nimue_health by state, nimue_suspended, nimue_outage_active and more of the
//     outage
//   - nimue_acquires_total, nimue_acquire_failures_total by reason,
//     nimue_connects_total, nimue_connect_errors_total,
//     nimue_connections_retired_total by reason, nimue_leaks_total, and every other
//     counter of [pool.Counters]
//   - histograms: nimue_acquire_wait_seconds, nimue_lease_hold_seconds,
//     nimue_connect_seconds, nimue_verification_seconds
//
// Each has a help text. docs/operations.md tells what to make of them;
// docs/alerts.yml and docs/grafana-dashboard.json put them to use.
//
// Counters and histograms carry the time at which the pool was made, which
// Prometheus takes from the formats that can express it. Nothing that is exported
// holds an error's text, a statement or anything else of what passes through a pool.
package nimueprom
