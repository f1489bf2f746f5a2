#!/bin/sh
# Shows that the decider cannot do I/O, read a clock, start a thread or draw a random number: what its objects (and those
# of k3saga_base below it) need from outside names none of the functions that do. Arguments: nm, then archives.
set -eu
nm=$1
shift
forbidden='^(open|open64|openat|creat|read|write|pread|pwrite|close|fopen|fopen64|fread|fwrite|fputs|puts|printf|fprintf'
forbidden="$forbidden|socket|connect|accept|bind|listen|send|sendto|recv|recvfrom|poll|epoll_.*|select|ioctl"
forbidden="$forbidden|fork|vfork|execv.*|posix_spawn.*|system|popen|kill|getenv|secure_getenv|setenv"
forbidden="$forbidden|time|clock|clock_gettime|gettimeofday|nanosleep|usleep|sleep"
forbidden="$forbidden|rand|rand_r|srand|random|srandom|drand48|getrandom|getentropy"
forbidden="$forbidden|pthread_create|pthread_mutex_lock|pthread_cond_.*|dlopen|syscall|mmap)(@.*)?\$"
# C++: streams, threads, clocks, random devices, files, locks.
mangled='St6thread|St6chrono.*clock|St13random_device|basic_[io]*fstream|_ZSt4cout|_ZSt4cerr|St10filesystem|absl.*5Mutex|absl.*3Now'

found=$("$nm" --undefined-only --format=posix "$@" | awk 'NF > 1 {print $1}' | sort -u |
  grep -E -e "$forbidden" -e "$mangled" || true)
if [ -n "$found" ]; then
  echo "the pure core reaches for the world outside:"
  echo "$found"
  exit 1
fi
echo "the pure core reaches for nothing outside"
