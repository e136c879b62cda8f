package pool

// list is a doubly linked list whose links live in its elements, so that
// inserting and removing allocate nothing and removing from the middle is O(1).
// The zero value is an empty list.
type list[T any] struct {
	front, back *node[T]
	len         int
}

// node is the link embedded in an element; of points back at the element.
type node[T any] struct {
	prev, next *node[T]
	in         *list[T]
	of         *T
}

func (l *list[T]) pushFront(n *node[T]) { l.insertAfter(n, nil) }
func (l *list[T]) pushBack(n *node[T])  { l.insertAfter(n, l.back) }

// insertAfter links n behind at, or at the front where at is nil.
func (l *list[T]) insertAfter(n, at *node[T]) {
	n.in = l
	n.prev = at
	if at == nil {
		n.next = l.front
		l.front = n
	} else {
		n.next = at.next
		at.next = n
	}
	if n.next == nil {
		l.back = n
	} else {
		n.next.prev = n
	}
	l.len++
}

// remove unlinks n, which must be in l.
func (l *list[T]) remove(n *node[T]) {
	if n.prev == nil {
		l.front = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.back = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.in = nil, nil, nil
	l.len--
}
