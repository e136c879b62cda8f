// Package check holds the runbook, the alert rules and the dashboard in docs/ to what
// the code does. It has nothing but tests, in a module of its own since they need
// Prometheus itself: its parsers, and its engine to see the alerts fire.
//
// Two kinds of tests are here. Some read the documents: every metric, parameter and
// anchor that is named must exist, every expression must be valid, every sum must add
// up, and every error must be one that a caller gets. One acts as an operator would: an
// application leaks connections, is overloaded, and has its server restarted under it;
// from the page, the metrics and the log alone it must be told which is which, and who
// holds the connections.
package check
