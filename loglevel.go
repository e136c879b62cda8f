package nimue

import (
	"fmt"
	"log/slog"
)

// LogLevel is how much a pool logs to slog.Default(). The zero value is LogOff.
type LogLevel uint8

// The levels that pool_log_level knows; each includes those before it.
const (
	LogOff LogLevel = iota
	LogError
	LogWarn
	LogInfo
	LogDebug
)

// String returns the level as pool_log_level writes it.
func (l LogLevel) String() string {
	words := [...]string{"off", "error", "warn", "info", "debug"}
	if int(l) < len(words) {
		return words[l]
	}
	return fmt.Sprintf("LogLevel(%d)", uint8(l))
}

// Level returns the least slog level to be logged, and whether anything is.
func (l LogLevel) Level() (level slog.Level, on bool) {
	switch l {
	case LogError:
		return slog.LevelError, true
	case LogWarn:
		return slog.LevelWarn, true
	case LogInfo:
		return slog.LevelInfo, true
	case LogDebug:
		return slog.LevelDebug, true
	}
	return 0, false
}
