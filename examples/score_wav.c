/* Scores a wav file (16-bit PCM, the first channel) with a file written by skasd.export.to_onnx:
 *
 *   cc score_wav.c -I<folder of onnxruntime_c_api.h> -L<folder of the library> -lonnxruntime -o score_wav
 *   ./score_wav fan.onnx clip.wav
 *
 * It prints the anomaly score and "anomaly" or "normal", and ends with 0 for a normal clip, 1 for an anomaly, 2 after an
 * error. The wav file must have the sample rate that the model says in its metadata. */
#include <onnxruntime_c_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OrtApi *api;

static void check(OrtStatus *status) {
    if (!status) return;
    fprintf(stderr, "%s\n", api->GetErrorMessage(status));
    exit(2);
}

static void fail(const char *path, const char *what) {
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

/* Samples of the first channel in [-1, 1); on machines whose integers are little-endian, as those of wav files are. */
static float *read_wav(const char *path, int64_t *n_timepoints, uint32_t *sample_rate) {
    FILE *file = fopen(path, "rb");
    unsigned char header[12], format[16] = {0};
    struct { char name[4]; uint32_t size; } chunk;
    if (!file || fread(header, 1, 12, file) < 12 || memcmp(header, "RIFF", 4) || memcmp(header + 8, "WAVE", 4))
        fail(path, "is no wav file");
    while (fread(&chunk, 8, 1, file) == 1 && memcmp(chunk.name, "data", 4)) {
        long next = ftell(file) + chunk.size + chunk.size % 2; /* chunks begin at even places */
        if (!memcmp(chunk.name, "fmt ", 4) && fread(format, 1, 16, file) < 16) break;
        if (fseek(file, next, SEEK_SET)) break;
    }
    uint16_t n_channels = format[2] | format[3] << 8, n_bits = format[14] | format[15] << 8;
    memcpy(sample_rate, format + 4, 4);
    if (memcmp(chunk.name, "data", 4) || n_bits != 16 || !n_channels) fail(path, "has no samples of 16-bit PCM");
    size_t n_values = chunk.size / 2;
    int16_t *values = malloc(2 * n_values + 2);
    n_values = fread(values, 2, n_values, file);
    float *waveform = malloc(4 * (n_values / n_channels) + 4);
    *n_timepoints = n_values / n_channels;
    for (int64_t time = 0; time < *n_timepoints; time++) waveform[time] = values[time * n_channels] / 32768.0f;
    if (!*n_timepoints) fail(path, "is empty");
    free(values);
    fclose(file);
    return waveform;
}

int main(int n_arguments, char **arguments) {
    if (n_arguments != 3) fail(arguments[0], "give a model and a wav file: score_wav fan.onnx clip.wav");
    api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!api) fail(arguments[0], "the library of ONNX Runtime is older than its header");
    OrtEnv *env; OrtSessionOptions *options; OrtSession *session; OrtMemoryInfo *memory; OrtAllocator *allocator;
    OrtModelMetadata *metadata; char *rate;
    check(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "score_wav", &env));
    check(api->CreateSessionOptions(&options));
    check(api->SetIntraOpNumThreads(options, 1));
    check(api->CreateSession(env, arguments[1], options, &session));
    check(api->GetAllocatorWithDefaultOptions(&allocator));
    check(api->SessionGetModelMetadata(session, &metadata));
    check(api->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "sample_rate", &rate));
    int64_t shape[2] = {1, 0};
    uint32_t sample_rate = 0;
    float *waveform = read_wav(arguments[2], &shape[1], &sample_rate);
    if (!rate || sample_rate != (uint32_t)atoi(rate)) fail(arguments[2], "has another sample rate than the model expects");
    const char *inputs[] = {"waveform"}, *outputs[] = {"anomaly_score", "is_anomaly"};
    OrtValue *input = NULL, *results[2] = {NULL, NULL};
    float *score; char *is_anomaly;
    check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    check(api->CreateTensorWithDataAsOrtValue(memory, waveform, 4 * shape[1], shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input));
    check(api->Run(session, NULL, inputs, (const OrtValue *const *)&input, 1, outputs, 2, results));
    check(api->GetTensorMutableData(results[0], (void **)&score));
    check(api->GetTensorMutableData(results[1], (void **)&is_anomaly));
    printf("%.6g %s\n", *score, *is_anomaly ? "anomaly" : "normal");
    return *is_anomaly ? 1 : 0;
}
