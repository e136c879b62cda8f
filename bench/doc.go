// Package bench compares nimue with its peers, side by side in one run:
//
//	go test ./bench -run - -bench .
package bench
