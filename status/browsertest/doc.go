// Package browsertest looks at the status page with a real browser: headless
// Chromium, against real pools under load. It has tests only, and is a module of
// its own so that nobody who uses nimue downloads what drives a browser.
//
//	go test .
//	go test . -run Screenshots -screenshots ../../docs/images -fill 10m -timeout 15m
//
// The second renews the pictures in the README, with plots that are full. Where Chromium is missing, the
// tests are skipped with a text that says what to install; with the environment
// variable NIMUE_REQUIRE_SERVERS set they fail instead.
package browsertest
