package servers

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// findPrograms returns the first of the folders on the search path, and then of
// those that the patterns match, that holds all the programs; of one pattern's
// matches the newest version comes first. The programs must come from one
// folder, since an initdb and a postgres of different versions refuse each other.
func findPrograms(patterns, programs []string) (folder string, ok bool) {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue // a malformed pattern matches nothing
		}
		slices.SortStableFunc(matches, func(a, b string) int { return compareVersions(b, a) })
		folders = append(folders, matches...)
	}
	for _, folder := range folders {
		if folder != "" && holdsAll(folder, programs) {
			return folder, true
		}
	}
	return "", false
}

func holdsAll(folder string, programs []string) bool {
	for _, name := range programs {
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.IsDir() {
			return false
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0 {
			return false
		}
	}
	return true
}

var digits = regexp.MustCompile(`[0-9]+`)

// compareVersions orders two paths by the numbers in them: 9.6 before 10,
// and 15 before 16.
func compareVersions(a, b string) int {
	return slices.Compare(numbersIn(a), numbersIn(b))
}

func numbersIn(path string) []int {
	var numbers []int
	for _, text := range digits.FindAllString(path, -1) {
		n, err := strconv.Atoi(text)
		if err != nil {
			continue // too long to be a version
		}
		numbers = append(numbers, n)
	}
	return numbers
}
