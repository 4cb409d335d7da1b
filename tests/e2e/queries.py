"""The queries that came with the six metrics, as they were written."""

ORIGIN = {
    "request rate": 'rate(llama_stack_inference_requests_total{status="success"}[5m])',
    "p95 duration": "histogram_quantile(0.95, rate(llama_stack_inference_request_duration_seconds_bucket[5m]))",
    "concurrent": "llama_stack_inference_concurrent_requests",
    "tokens per second": "rate(llama_stack_inference_tokens_per_second_sum[5m])"
    " / rate(llama_stack_inference_tokens_per_second_count[5m])",
    "p99 time to first token": "histogram_quantile(0.99,"
    " rate(llama_stack_inference_time_to_first_token_seconds_bucket[5m]))",
    "by status": "sum(rate(llama_stack_inference_requests_total[5m])) by (model, endpoint_type, status)",
}
