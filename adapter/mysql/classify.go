package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue/pool"
)

// sessionEnds lists the error numbers that come with the end of the session.
var sessionEnds = map[uint16]bool{
	1053: true, // ER_SERVER_SHUTDOWN
	1079: true, // ER_SHUTDOWN_COMPLETE
	1080: true, // ER_FORCING_CLOSE
	1152: true, // ER_ABORTING_CONNECTION
	1158: true, // ER_NET_READ_ERROR
	1159: true, // ER_NET_READ_INTERRUPTED
	1160: true, // ER_NET_ERROR_ON_WRITE
	1161: true, // ER_NET_WRITE_INTERRUPTED
	1184: true, // ER_NEW_ABORTING_CONNECTION
	1927: true, // ER_CONNECTION_KILLED (MariaDB)
	2006: true, // CR_SERVER_GONE_ERROR, as proxies send it on
	2013: true, // CR_SERVER_LOST, likewise
	3169: true, // ER_SESSION_WAS_KILLED
	4031: true, // ER_CLIENT_INTERACTION_TIMEOUT: wait_timeout is over
}

// readOnly lists the error numbers of a server that accepts no writes. The first
// stands for other options of the server's, too.
var readOnly = map[uint16]bool{
	1290: true, // ER_OPTION_PREVENTS_STATEMENT
	1836: true, // ER_READ_ONLY_MODE
}

// classify judges an operation's error. What it does not know is left to the
// generic rules: timeouts, cancelled contexts and network errors.
func classify(err error) pool.Verdict {
	if myErr, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch {
		case sessionEnds[myErr.Number]:
			return pool.Discard
		case readOnly[myErr.Number]:
			return pool.Demoted
		}
		return pool.Keep
	}
	for _, broken := range []error{driver.ErrBadConn, mysql.ErrInvalidConn,
		mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrBusyBuffer} {
		if errors.Is(err, broken) {
			return pool.Discard
		}
	}
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return pool.Keep // refused before anything was sent
	}
	return pool.Unknown
}

// refusals lists the error numbers with which a server will answer every connect
// until somebody changes the settings of one of the two. Others pass: 1040
// ER_CON_COUNT_ERROR, 1203 ER_TOO_MANY_USER_CONNECTIONS, 1226
// ER_USER_LIMIT_REACHED, and all that is not about connecting.
var refusals = map[uint16]bool{
	1044: true, // ER_DBACCESS_DENIED_ERROR
	1045: true, // ER_ACCESS_DENIED_ERROR
	1049: true, // ER_BAD_DB_ERROR
	1064: true, // ER_PARSE_ERROR: in a value of the DSN's
	1115: true, // ER_UNKNOWN_CHARACTER_SET
	1129: true, // ER_HOST_IS_BLOCKED, until FLUSH HOSTS
	1130: true, // ER_HOST_NOT_PRIVILEGED
	1193: true, // ER_UNKNOWN_SYSTEM_VARIABLE: the DSN's
	1227: true, // ER_SPECIFIC_ACCESS_DENIED_ERROR
	1231: true, // ER_WRONG_VALUE_FOR_VAR: the DSN's
	1232: true, // ER_WRONG_TYPE_FOR_VAR
	1238: true, // ER_INCORRECT_GLOBAL_LOCAL_VAR
	1251: true, // ER_NOT_SUPPORTED_AUTH_MODE
	1253: true, // ER_COLLATION_CHARSET_MISMATCH
	1273: true, // ER_UNKNOWN_COLLATION
	1524: true, // ER_PLUGIN_IS_NOT_LOADED: the account's
	1698: true, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	1820: true, // ER_MUST_CHANGE_PASSWORD
	1862: true, // ER_MUST_CHANGE_PASSWORD_LOGIN
	3118: true, // ER_ACCOUNT_HAS_BEEN_LOCKED
	3159: true, // ER_SECURE_TRANSPORT_REQUIRED
	3955: true, // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
	4151: true, // ER_ACCOUNT_HAS_BEEN_LOCKED (MariaDB)
}

// permanent tells that a connect will fail again however often it is tried.
func permanent(err error) bool {
	if myErr, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return refusals[myErr.Number]
	}
	for _, misfit := range []error{mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword,
		mysql.ErrOldPassword, mysql.ErrUnknownPlugin, mysql.ErrOldProtocol} {
		if errors.Is(err, misfit) {
			return true
		}
	}
	return false
}

// roleQuery asks whether the server accepts no writes. Not every server has all of
// these variables, and SELECT would fail for those that it lacks.
const roleQuery = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only')"

// checkRole runs roleQuery. MariaDB 12 has more values of read_only than ON and OFF,
// all of them read-only but OFF.
func checkRole(ctx context.Context, conn driver.Conn) (demoted bool, err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return false, nil // somebody's wrapper, which cannot be asked
	}
	rows, err := queryer.QueryContext(ctx, roleQuery, nil)
	if err != nil {
		return false, err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for err == nil {
		if err = rows.Next(row); err == nil && len(row) == 2 && !isOff(row[1]) {
			demoted = true
		}
	}
	if err == io.EOF {
		err = nil
	}
	return demoted, errors.Join(err, rows.Close())
}

func isOff(value driver.Value) bool {
	text, ok := value.([]byte)
	if !ok {
		text = fmt.Append(nil, value)
	}
	return strings.EqualFold(string(text), "OFF") || string(text) == "0"
}
