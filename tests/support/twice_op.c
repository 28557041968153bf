#include "tensorflow/c/kernels.h"

/* tensorflow/c/ops.h is C++ in the wheel */
typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
TF_OpDefinitionBuilder* TF_NewOpDefinitionBuilder(const char* name);
void TF_OpDefinitionBuilderAddInput(TF_OpDefinitionBuilder* builder, const char* spec);
void TF_OpDefinitionBuilderAddOutput(TF_OpDefinitionBuilder* builder, const char* spec);
typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
void TF_ShapeInferenceContextSetUnknownShape(TF_ShapeInferenceContext* context, TF_Status* status);
void TF_OpDefinitionBuilderSetShapeInferenceFunction(
    TF_OpDefinitionBuilder* builder, void (*function)(TF_ShapeInferenceContext* context, TF_Status* status));
void TF_RegisterOpDefinition(TF_OpDefinitionBuilder* builder, TF_Status* status);

static void* create(TF_OpKernelConstruction* construction) { return 0; }

static void compute(void* kernel, TF_OpKernelContext* context) {
  TF_Status* status = TF_NewStatus();
  TF_Tensor* input = 0;
  TF_GetInput(context, 0, &input, status);
  int64_t size = TF_TensorElementCount(input);
  TF_Tensor* output = TF_AllocateOutput(context, 0, TF_FLOAT, &size, 1, TF_TensorByteSize(input), status);
  for (int64_t i = 0; i < size; i++) ((float*)TF_TensorData(output))[i] = 2 * ((float*)TF_TensorData(input))[i];
  TF_DeleteTensor(output);
  TF_DeleteTensor(input);
  TF_DeleteStatus(status);
}

static void destroy(void* kernel) {}

__attribute__((constructor)) static void register_op(void) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* op = TF_NewOpDefinitionBuilder("TwiceForTests");
  TF_OpDefinitionBuilderAddInput(op, "x: float");
  TF_OpDefinitionBuilderAddOutput(op, "y: float");
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, TF_ShapeInferenceContextSetUnknownShape);
  TF_RegisterOpDefinition(op, status);
  TF_RegisterKernelBuilder("TwiceForTests", TF_NewKernelBuilder("TwiceForTests", "CPU", create, compute, destroy), status);
  TF_DeleteStatus(status);
}
