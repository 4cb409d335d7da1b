/* Preloaded for nothing: what any preload costs an exec. */
int inferwire_bench_empty;
