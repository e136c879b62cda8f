package conformance

import "slices"

// allCases is the suite. The order is that of a reader who begins with the
// simple things.
func allCases() []testCase {
	return slices.Concat(
		typeCases(),
		timeCases(),
		nullCases(),
		blobCases(),
		argumentCases(),
		resultCases(),
		rowsCases(),
		columnCases(),
		statementCases(),
		transactionCases(),
		isolationCases(),
		cancelCases(),
		connCases(),
		errorCases(),
		panicCases(),
		loadCases(),
		closeCases(),
	)
}
