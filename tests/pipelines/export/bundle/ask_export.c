/* Ask an export without Python: stranger EXPORT INPUT OUTPUT INDEX PICTURE...
   INPUT and OUTPUT are names of operations, INDEX the output's number; prints a string a row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensorflow/c/c_api.h"

static void check(TF_Status* status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

static TF_Output find(TF_Graph* graph, const char* name, int index) {
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(1);
  }
  return output;
}

static void read_file(const char* path, TF_TString* into) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char* bytes = malloc(size + 1);
  if (fread(bytes, 1, size, file) != size) exit(1);
  TF_StringInit(into);
  TF_StringCopy(into, bytes, size);
  free(bytes);
  fclose(file);
}

int main(int count, char** words) {
  if (count < 6) return 2;
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, words[1], tags, 1, graph, NULL, status);
  check(status);

  int64_t rows = count - 5;
  TF_Tensor* input = TF_AllocateTensor(TF_STRING, &rows, 1, rows * sizeof(TF_TString));
  for (int64_t row = 0; row < rows; ++row)
    read_file(words[5 + row], (TF_TString*)TF_TensorData(input) + row);

  TF_Output given = find(graph, words[2], 0), wanted = find(graph, words[3], atoi(words[4]));
  TF_Tensor* answer = NULL;
  TF_SessionRun(session, NULL, &given, &input, 1, &wanted, &answer, 1, NULL, 0, NULL, status);
  check(status);
  const TF_TString* texts = TF_TensorData(answer);
  for (int64_t row = 0; row < TF_Dim(answer, 0); ++row)
    printf("%.*s\n", (int)TF_StringGetSize(texts + row), TF_StringGetDataPointer(texts + row));

  TF_DeleteTensor(answer);
  TF_DeleteTensor(input);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
